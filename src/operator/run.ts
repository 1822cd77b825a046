import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../base/errors.ts';
import { plain } from '../base/words.ts';
import type { Connection } from '../kube/connection.ts';
import { explainCallError } from '../kube/errors.ts';
import { follow, type WatchEvent } from '../kube/watch.ts';
import { connectWhole, type WholeCluster } from '../kube/whole-cluster.ts';
import { type Reporter, withDuring } from '../ui/reporter.ts';
import { Changes } from './changes.ts';
import { lifeAt, nextChange } from './clock.ts';
import { type Fact, withFacts } from './conditions.ts';
import { afterDeletion } from './deletion.ts';
import { whileLeading } from './leader.ts';
import { Metrics } from './metrics.ts';
import { consentAnnotation, lookAnnotation } from './names.ts';
import { type HostedControlPlane, kind, lifeOf, type Status } from './object.ts';
import { PlaneWatch } from './plane-watch.ts';
import { WorkQueue } from './queue.ts';
import { asPlaneAccount, reconcile, type Surrounding } from './reconcile.ts';
import { serve } from './serve.ts';

export interface OperatorOptions {
  connection: Connection;
  /** Where the operator's Lease is. */
  namespace: string;
  /** Which operator this is, for its Lease and for planes' locks. */
  identity: string;
  hostedBy: 'address' | 'service';
  /** How many planes are worked on at a time. */
  workers: number;
  /** Milliseconds for each step of a plane. */
  timeout: number;
  /** Milliseconds between two full looks at a plane of which nothing was noticed. */
  every: number;
  /** Port of /metrics, /livez and /readyz; left out: none is opened. */
  port?: number;
  signal: AbortSignal;
  log(entry: LogEntry): void;
}

/** One line of the log. */
interface LogEntry {
  /** Namespace of the plane; absent where it is about the operator. */
  plane?: string;
  level: 'info' | 'warning';
  text: string;
}

/**
 * Makes planes what their HostedControlPlanes say, until the signal fires. Of several operators one works; this one waits until it
 * may.
 *
 * @throws UserError `leadership-lost`, `operator-not-installed`, `rights`
 */
export async function runOperator(options: OperatorOptions): Promise<void> {
  const { signal, log, port } = options;
  const cluster = connectWhole(options.connection);
  const metrics = new Metrics();
  const web = port === undefined ? undefined : await serve(port, metrics);
  try {
    log({ level: 'info', text: `${options.identity} waits until it leads` });
    await whileLeading(cluster, { ...options, onSeen: () => web?.ready() }, async (leading) => {
      log({ level: 'info', text: `${options.identity} leads` });
      await new Planes(cluster, options, leading, metrics).run();
    });
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await Promise.all([cluster.close(), web?.close()]);
  }
}

/** A plane's object as it was last seen, with what is under way for it. */
interface Known {
  object: HostedControlPlane;
  /** Fires when the object is deleted. */
  gone: AbortController;
  watch?: { planeId: string; of: PlaneWatch };
  /** When the last look at it ended. */
  looked?: number;
  said: Changes;
}

/**
 * Milliseconds from what a watch has noticed to the look that follows, `soonAgain` where the last look has ended less than `soon` ago;
 * and to the next trial of what a trial has refused.
 */
const pause = { usual: 500, soonAgain: 5000, soon: 10_000, refused: 5 * 60_000 };

/** Milliseconds to what is planned at most: timers of Node count to 24 days. */
const longestPlan = 24 * 60 * 60_000;

/** The planes of all objects, while this operator leads. */
class Planes {
  readonly #cluster: WholeCluster;
  readonly #options: OperatorOptions;
  readonly #signal: AbortSignal;
  readonly #known = new Map<string, Known>();
  readonly #queue = new WorkQueue();
  readonly #metrics: Metrics;

  constructor(cluster: WholeCluster, options: OperatorOptions, signal: AbortSignal, metrics: Metrics) {
    this.#cluster = cluster;
    this.#options = options;
    this.#signal = signal;
    this.#metrics = metrics;
  }

  async run(): Promise<void> {
    const ended = new AbortController();
    const signal = AbortSignal.any([this.#signal, ended.signal]);
    this.#metrics.leads({
      objects: () => [...this.#known.values()].map(({ object }) => object),
      due: () => this.#queue.due,
    });
    const working = this.#queue.run(this.#options.workers, (key) => this.#look(key), signal);
    try {
      await follow<HostedControlPlane>(this.#cluster, kind, {}, signal, (event) => this.#onEvent(event), 15_000);
    } catch (error) {
      throw explainCallError(error, 'watch HostedControlPlanes');
    } finally {
      ended.abort();
      await working;
      this.#metrics.leads(undefined);
      await Promise.all([...this.#known.values()].map(({ watch }) => watch?.of.close()));
    }
  }

  #onEvent({ type, object }: WatchEvent<HostedControlPlane>): void {
    const key = object.metadata.namespace!;
    const known = this.#known.get(key);
    const isGone = type === 'DELETED' || object.metadata.deletionTimestamp !== undefined;
    const isKnown = known?.object.metadata.uid === object.metadata.uid;
    if (known && isGone && isKnown) void afterDeletion(object, this.#around(known, object, this.#signal));
    if (isGone || !isKnown) this.#forget(key);
    if (isGone) return;
    const now = this.#known.get(key);
    if (now && isOlder(object, now.object)) return;
    if (!now || isNews(now.object, object)) this.#queue.add(key);
    if (now) now.object = object;
    else this.#known.set(key, { gone: new AbortController(), object, said: this.#changesOf(key) });
  }

  #changesOf(plane: string): Changes {
    return new Changes((level, text) => this.#options.log({ plane, level, text }));
  }

  /** What is under way for it ends, so that nothing is made anew that goes with the object. */
  #forget(key: string): void {
    const known = this.#known.get(key);
    known?.gone.abort(new Error('its HostedControlPlane was deleted'));
    known?.watch?.of.close();
    this.#known.delete(key);
    this.#queue.forget(key);
  }

  /** @returns in how many milliseconds the plane is looked at again without a reason */
  async #look(key: string): Promise<number | undefined> {
    const known = this.#known.get(key);
    if (!known) return undefined;
    const { object, said } = known;
    const around = this.#around(known, object);
    said.next();
    if (lifeOf(object).paused) {
      await around.tell([{ type: 'Progressing', status: 'False', reason: 'Paused', message: 'spec.paused is true' }]);
      return undefined;
    }
    // What happens from here on is noticed, though this look may be past it.
    this.#watch(known, around);
    const started = performance.now();
    const outcome = await reconcile(object, around).catch((error) => {
      around.reporter.warn(messageOf(error));
      return 'failed' as const;
    });
    if (known.gone.signal.aborted) return undefined;
    known.looked = performance.now();
    const took = known.looked - started;
    this.#metrics.looked(outcome, took);
    said.say('info', `${outcome} after ${Math.round(took)} ms`, outcome);
    // Of a plane that was not watched yet, something may have changed since its objects were read.
    if (this.#watch(known, around)) this.#queue.add(key, pause.usual);
    const next = nextChange(object, new Date());
    // A moment later, and not by chance as all else.
    if (next) this.#queue.add(key, Math.min(next.getTime() - Date.now() + 100, longestPlan));
    if (outcome === 'failed') throw new Error('tried again later');
    return outcome === 'refused' ? pause.refused : this.#options.every;
  }

  #around(
    known: Known,
    object: HostedControlPlane,
    signal = AbortSignal.any([this.#signal, known.gone.signal]),
  ): Surrounding {
    const { connection, hostedBy, identity, timeout } = this.#options;
    return {
      connection,
      hostedBy,
      identity,
      timeout,
      signal,
      reporter: reporterOf(known.said),
      tell: (facts, fields) => this.#tell(known, object, facts, fields),
    };
  }

  /** @param object as it was when the look began, which is what the facts are about */
  async #tell(known: Known, object: HostedControlPlane, facts: Fact[], fields: Partial<Status> = {}): Promise<void> {
    const { status: before } = known.object;
    const status = withFacts({ ...object, status: before }, facts, fields);
    if (isDeepStrictEqual(status, before)) return;
    const told = await this.#cluster.mergeStatus(known.object, status);
    if (isOlder(told, known.object)) return;
    // Of the spec nothing is taken from here: that it has changed, the watch tells.
    const { resourceVersion } = told.metadata;
    known.object = {
      ...known.object,
      metadata: { ...known.object.metadata, resourceVersion },
      status: told.status,
    };
  }

  /** Watches what the plane has by now. @returns whether that is new */
  #watch(known: Known, around: Surrounding): boolean {
    const { planeId } = known.object.status ?? {};
    const { asleep } = lifeAt(known.object, new Date());
    if (known.watch && (known.watch.planeId !== planeId || known.watch.of.broken || asleep)) {
      known.watch.of.close();
      known.watch = undefined;
    }
    if (!planeId || asleep || known.watch) return false;
    const key = known.object.metadata.namespace!;
    const of = new PlaneWatch(asPlaneAccount(known.object, around), planeId, (what) => {
      this.#options.log({ plane: key, level: 'info', text: what });
      this.#metrics.drifted();
      const isSoon = known.looked !== undefined && performance.now() - known.looked < pause.soon;
      this.#queue.add(key, isSoon ? pause.soonAgain : pause.usual);
    });
    known.watch = { planeId, of };
    return true;
  }
}

/** Resource versions of one object grow (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions). */
function isOlder(one: HostedControlPlane, other: HostedControlPlane): boolean {
  return Number(one.metadata.resourceVersion) < Number(other.metadata.resourceVersion);
}

/** Whether somebody asked for something else; the operator's own writes to the status are no news. */
function isNews(before: HostedControlPlane, after: HostedControlPlane): boolean {
  const asked = ({ metadata: { generation, annotations } }: HostedControlPlane) =>
    [generation, annotations?.[consentAnnotation], annotations?.[lookAnnotation]].join();
  return asked(before) !== asked(after);
}

function reporterOf(said: Changes): Reporter {
  return withDuring({
    line: (text) => said.say('info', plain(text)),
    warn: (text) => said.say('warning', plain(text)),
    debug: () => undefined,
    begin: (title) => ({
      update: () => undefined,
      done: (text = title) => said.say('info', text),
      fail: (text = title) => said.say('warning', text),
    }),
  });
}
