import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import { fixedTime } from '../base/fixed-time.ts';
import { knownLines } from '../base/known-lines.ts';
import { linesOf } from '../base/lines.ts';
import { ApiError, ConnectionError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ContainerStatus, Pod } from '../kube/objects.ts';
import type {
  egressName,
  konnectivityServerName,
  tunnelHubName,
} from '../plane/components/kube-apiserver/egress/egress.ts';
import { type Component, componentOfContainer } from '../plane/components/lookup.ts';
import { podSelector } from '../plane/names.ts';

/** The container whose log is meant: a component's, which has its name, or one beside the API server. */
export type LogSource = Component | typeof egressName | typeof konnectivityServerName | typeof tunnelHubName;

/** Which part of a log is wanted. */
export interface LogQuery {
  /** The last lines only; all of them when left out. */
  tailLines?: number;
  sinceSeconds?: number;
  timestamps?: boolean;
  /** Of the container before its last restart. */
  previous?: boolean;
  /** Only the audit events among an API server's lines; without it, all but those. */
  audit?: boolean;
}

/** Where lines go, and what is said about a log that there is not. */
export interface LogSink {
  line(text: string): void;
  note(text: string): void;
}

/** An API server's audit events and its own words share one log, and there are many more of the former. */
const auditShare = 50;

/** Whether a line, with its time or without, is an audit event of an API server. Pure. */
export function isAuditEvent(line: string): boolean {
  return /^(\d{4}-\S+ )?\{"kind":"Event","apiVersion":"audit\.k8s\.io\//.test(line);
}

const pollEvery = 500;
/** A stream that broke is asked for again from a little before the last line; what was seen is dropped by its time. */
const overlapSeconds = 5;

/**
 * Tells the log of a container in a component's pods as it is now.
 *
 * @returns false when there was none; `note` has said why
 */
export async function readLog(
  cluster: InfraCluster,
  planeId: string,
  source: LogSource,
  query: LogQuery,
  sink: LogSink,
  signal: AbortSignal,
): Promise<boolean> {
  const pods = await podsOf(cluster, planeId, source);
  if (pods.length === 0) sink.note('it has no pod');
  let found = false;
  for (const pod of pods) {
    try {
      const { audit = false, tailLines, ...rest } = query;
      const ask = tailLines === undefined || source !== 'kube-apiserver' ? tailLines : tailLines * auditShare;
      const text = await cluster.log(pod.metadata.name, { ...rest, tailLines: ask, container: source, signal });
      found = true;
      const lines = splitLines(text).filter((line) => isAuditEvent(line) === audit);
      for (const line of tailLines === undefined ? lines : lines.slice(-tailLines || lines.length)) sink.line(line);
    } catch (error) {
      if (!(error instanceof ApiError) || (error.status !== 400 && error.status !== 404)) throw error;
      sink.note(query.previous ? 'its container was not restarted, so there is no earlier log' : error.message);
    }
  }
  return found;
}

/**
 * Tells the log of a component as it is written, until `signal` fires. A log ends with its container: the next
 * container's, in the same pod or another, is told from its beginning, and none is told twice.
 */
export async function followLog(
  cluster: InfraCluster,
  planeId: string,
  source: LogSource,
  query: LogQuery,
  sink: LogSink,
  signal: AbortSignal,
): Promise<void> {
  const progress = new LogProgress(source);
  const say = once(sink.note);
  while (!signal.aborted) {
    try {
      const pod = (await podsOf(cluster, planeId, source))[0];
      if (!pod) say('it has no pod yet');
      else if (progress.hasMore(pod)) {
        const wanted = progress.begin(pod, query);
        const stream = await cluster.followLog(pod.metadata.name, {
          ...wanted,
          container: source,
          timestamps: true,
          signal,
        });
        say('');
        for await (const line of linesOf(stream)) {
          const text = progress.take(line, query.timestamps ?? false);
          if (text !== undefined && isAuditEvent(text) === (query.audit ?? false)) sink.line(text);
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      // Rights do not come by waiting; containers, kubelets and connections do.
      if (error instanceof ApiError && (error.status === 401 || error.status === 403)) throw error;
      if (!(error instanceof ApiError) && !(error instanceof ConnectionError) && !isBrokenStream(error)) throw error;
      say(`waiting: ${messageOf(error)}`);
    }
    await sleep(pollEvery, undefined, { signal }).catch(() => undefined);
  }
}

/** What has been told of which container, so that a log that is opened again goes on and does not begin anew. */
export class LogProgress {
  readonly #container: LogSource;
  #pod: string | undefined;
  #restarts = -1;
  #last = '';
  /** Lines of exactly that time that were told. */
  #same = 0;
  #lastAt = 0;
  #isKnown = knownLines(undefined);

  constructor(container: LogSource) {
    this.#container = container;
  }

  /** Whether the pod may have lines that were not told: it runs, or its container is another one than before. */
  hasMore(pod: Pod): boolean {
    return this.#isNew(pod) || this.#statusIn(pod)?.state?.running !== undefined;
  }

  /** What to ask for: all of a container that follows on one that was told, the rest of one that was begun. */
  begin(pod: Pod, query: LogQuery, now = Date.now()): LogQuery {
    const first = this.#pod === undefined;
    const resumed = !this.#isNew(pod);
    this.#isKnown = knownLines(resumed && this.#last !== '' ? this.#last : undefined, this.#same);
    if (!resumed) this.#last = '';
    this.#pod = pod.metadata.uid ?? '';
    this.#restarts = this.#restartsOf(pod);
    if (first) return { tailLines: query.tailLines, sinceSeconds: query.sinceSeconds };
    // Counted in time that has passed, so that clocks of two machines need not agree.
    if (resumed && this.#last !== '') return { sinceSeconds: Math.ceil((now - this.#lastAt) / 1000) + overlapSeconds };
    return {};
  }

  /** A line that came with its time, as it is to be told; undefined when it was told before. */
  take(line: string, timestamps: boolean, now = Date.now()): string | undefined {
    const at = line.indexOf(' ');
    const time = fixedTime(at < 0 ? line : line.slice(0, at));
    if (this.#isKnown(time)) return undefined;
    this.#same = time === this.#last ? this.#same + 1 : 1;
    this.#last = time;
    this.#lastAt = now;
    return timestamps ? line : at < 0 ? '' : line.slice(at + 1);
  }

  #isNew(pod: Pod): boolean {
    return this.#pod !== pod.metadata.uid || this.#restarts !== this.#restartsOf(pod);
  }

  #statusIn(pod: Pod): ContainerStatus | undefined {
    return pod.status?.containerStatuses?.find(({ name }) => name === this.#container);
  }

  #restartsOf(pod: Pod): number {
    return this.#statusIn(pod)?.restartCount ?? 0;
  }
}

/** A component's pods, the newest first; those on their way out only where there is no other. */
async function podsOf(cluster: InfraCluster, planeId: string, source: LogSource): Promise<Pod[]> {
  const selector = Object.entries(podSelector(planeId, componentOfContainer(source))).map(
    ([key, value]) => `${key}=${value}`,
  );
  const { items } = await cluster.pods(selector.join(','));
  const staying = items.filter(({ metadata }) => !metadata.deletionTimestamp);
  return (staying.length > 0 ? staying : items).sort((a, b) =>
    (b.metadata.creationTimestamp ?? '').localeCompare(a.metadata.creationTimestamp ?? ''),
  );
}

/** The connection went away in the middle of an answer. */
function isBrokenStream(error: unknown): boolean {
  return ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ERR_STREAM_PREMATURE_CLOSE'].includes(
    (error as NodeJS.ErrnoException).code ?? '',
  );
}

function splitLines(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

/** Says a thing when it changes, and not twice a second. */
function once(note: (text: string) => void): (text: string) => void {
  let last = '';
  return (text) => {
    if (text !== last && text !== '') note(text);
    last = text;
  };
}

/** `etcd:                   …` for each line, when several components are told at once. Pure. */
export function prefixOf(source: LogSource, chosen: readonly LogSource[]): string {
  if (chosen.length === 1) return '';
  const width = Math.max(...chosen.map((each) => each.length));
  return `${source.padEnd(width)}  `;
}
