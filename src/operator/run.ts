import { messageOf } from '../base/errors.ts';
import { plain } from '../base/words.ts';
import type { Connection } from '../kube/connection.ts';
import { explainCallError } from '../kube/errors.ts';
import { follow, type WatchEvent } from '../kube/watch.ts';
import { connectWhole, type WholeCluster } from '../kube/whole-cluster.ts';
import { type Reporter, withDuring } from '../ui/reporter.ts';
import { type Fact, withFacts } from './conditions.ts';
import { whileLeading } from './leader.ts';
import { consentAnnotation } from './names.ts';
import { type HostedControlPlane, kind, lifeOf, type Status } from './object.ts';
import { PlaneWatch } from './plane-watch.ts';
import { WorkQueue } from './queue.ts';
import { asPlaneAccount, reconcile, type Surrounding } from './reconcile.ts';

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
  const { signal, log } = options;
  const cluster = connectWhole(options.connection);
  try {
    log({ level: 'info', text: `${options.identity} waits until it leads` });
    await whileLeading(cluster, options, async (leading) => {
      log({ level: 'info', text: `${options.identity} leads` });
      await new Planes(cluster, options, leading).run();
    });
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await cluster.close();
  }
}

/** A plane's object as it was last seen, with what is under way for it. */
interface Known {
  object: HostedControlPlane;
  /** Fires when the object is deleted. */
  gone: AbortController;
  watch?: { planeId: string; of: PlaneWatch };
}

/** The planes of all objects, while this operator leads. */
class Planes {
  readonly #cluster: WholeCluster;
  readonly #options: OperatorOptions;
  readonly #signal: AbortSignal;
  readonly #known = new Map<string, Known>();
  readonly #queue = new WorkQueue();

  constructor(cluster: WholeCluster, options: OperatorOptions, signal: AbortSignal) {
    this.#cluster = cluster;
    this.#options = options;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    const ended = new AbortController();
    const signal = AbortSignal.any([this.#signal, ended.signal]);
    const working = this.#queue.run(this.#options.workers, (key) => this.#look(key), signal);
    try {
      await follow<HostedControlPlane>(this.#cluster, kind, {}, signal, (event) => this.#onEvent(event));
    } catch (error) {
      throw explainCallError(error, 'watch HostedControlPlanes');
    } finally {
      ended.abort();
      await working;
      await Promise.all([...this.#known.values()].map(({ watch }) => watch?.of.close()));
    }
  }

  #onEvent({ type, object }: WatchEvent<HostedControlPlane>): void {
    const key = object.metadata.namespace!;
    const known = this.#known.get(key);
    if (type === 'DELETED' || object.metadata.deletionTimestamp || known?.object.metadata.uid !== object.metadata.uid)
      this.#forget(key);
    if (type === 'DELETED' || object.metadata.deletionTimestamp) return;
    const now = this.#known.get(key);
    if (now && !isNews(now.object, object)) {
      now.object = object;
      return;
    }
    this.#known.set(key, { gone: new AbortController(), ...now, object });
    this.#queue.add(key);
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
    const { object } = known;
    const around = this.#around(known);
    if (lifeOf(object).paused) {
      await around.tell([{ type: 'Progressing', status: 'False', reason: 'Paused', message: 'spec.paused is true' }]);
      return undefined;
    }
    const started = performance.now();
    const isDone = await reconcile(object, around).catch((error) => {
      around.reporter.warn(messageOf(error));
      return false;
    });
    if (known.gone.signal.aborted) return undefined;
    around.reporter.line(
      `${isDone ? 'as it should be' : 'not as it should be'} after ${Math.round(performance.now() - started)} ms`,
    );
    this.#watch(known, around);
    if (!isDone) throw new Error('tried again later');
    return this.#options.every;
  }

  #around(known: Known): Surrounding {
    const { connection, hostedBy, identity, timeout, log } = this.#options;
    const plane = known.object.metadata.namespace!;
    return {
      connection,
      hostedBy,
      identity,
      timeout,
      signal: AbortSignal.any([this.#signal, known.gone.signal]),
      reporter: reporterOf((level, text) => log({ plane, level, text })),
      tell: (facts, fields) => this.#tell(known, facts, fields),
    };
  }

  async #tell(known: Known, facts: Fact[], fields: Partial<Status> = {}): Promise<void> {
    const status = withFacts(known.object, facts, fields);
    if (JSON.stringify(status) === JSON.stringify(known.object.status)) return;
    await this.#cluster.mergeStatus(known.object, status);
    known.object = { ...known.object, status };
  }

  #watch(known: Known, around: Surrounding): void {
    const { planeId } = known.object.status ?? {};
    const asleep = lifeOf(known.object).asleep;
    if (known.watch && (known.watch.planeId !== planeId || asleep)) {
      known.watch.of.close();
      known.watch = undefined;
    }
    if (!planeId || asleep || known.watch) return;
    const key = known.object.metadata.namespace!;
    const of = new PlaneWatch(asPlaneAccount(known.object, around), planeId, (what) => {
      around.reporter.line(what);
      this.#queue.add(key, 500);
    });
    known.watch = { planeId, of };
  }
}

/** Whether somebody asked for something else; the operator's own writes to the status are no news. */
function isNews(before: HostedControlPlane, after: HostedControlPlane): boolean {
  const consent = ({ metadata }: HostedControlPlane) => metadata.annotations?.[consentAnnotation];
  return before.metadata.generation !== after.metadata.generation || consent(before) !== consent(after);
}

function reporterOf(log: (level: 'info' | 'warning', text: string) => void): Reporter {
  return withDuring({
    line: (text) => log('info', plain(text)),
    warn: (text) => log('warning', plain(text)),
    debug: () => undefined,
    begin: (title) => ({
      update: () => undefined,
      done: (text = title) => log('info', text),
      fail: (text = title) => log('warning', text),
    }),
  });
}
