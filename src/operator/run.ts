import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import { follow, type WatchEvent } from '../kube/watch.ts';
import { connectWhole, type WholeCluster } from '../kube/whole-cluster.ts';
import { nextChange } from './clock.ts';
import { afterDeletion } from './deletion.ts';
import { isOlder, KnownPlane } from './known-plane.ts';
import { holdsForBackup } from './last-backup.ts';
import { whileLeading } from './leader.ts';
import { Leaving } from './leaving.ts';
import { Looks } from './looks.ts';
import { Metrics } from './metrics.ts';
import { consentAnnotation, lookAnnotation, usedAnnotation } from './names.ts';
import { type HostedControlPlane, kind, lifeOf } from './object.ts';
import type { OperatorOptions } from './options.ts';
import type { ReconcileContext } from './plane-account.ts';
import { WorkQueue } from './queue.ts';
import { reconcile, reconcilePaused } from './reconcile.ts';
import { serve } from './serve.ts';
import { Setbacks } from './setbacks.ts';
import { lookForUse } from './use.ts';

/**
 * Makes planes what their HostedControlPlanes say, until the signal fires. Of several operators one works; this one waits until it
 * may. What it is refused meanwhile is logged and tried again.
 *
 * @throws UserError `leadership-lost`
 */
export async function runOperator(options: OperatorOptions): Promise<void> {
  const { signal, log, port } = options;
  const cluster = connectWhole(options.connection);
  // Connections of its own: a renewal of the Lease waits for no look at a plane.
  const planes = connectWhole(options.connection);
  const metrics = new Metrics();
  const setbacks = new Setbacks(log);
  const web = port === undefined ? undefined : await serve(port, metrics);
  try {
    log({ level: 'info', text: `${options.identity} waits until it leads` });
    await whileLeading(cluster, { ...options, setbacks, onSeen: () => web?.ready() }, async (leading) => {
      log({ level: 'info', text: `${options.identity} leads` });
      await new Planes(planes, options, leading, metrics).run(setbacks);
    });
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await Promise.all([cluster.close(), planes.close(), web?.close()]);
  }
}

/**
 * Milliseconds from what a watch has noticed to the look that follows, `soonAgain` where the last look has ended less than `soon` ago; to
 * the next trial of what a trial has refused; and `end` for looks that have been told to end: they give back the locks of their planes,
 * and an infra API server that is silent answers none of that before another operator may lead.
 */
const pause = { usual: 500, soonAgain: 5000, soon: 10_000, refused: 5 * 60_000, end: 3000 };

/** Milliseconds to what is planned at most: timers of Node count to 24 days. */
const longestPlan = 24 * 60 * 60_000;

/** The planes of all objects, while this operator leads. */
class Planes {
  readonly #cluster: WholeCluster;
  readonly #options: OperatorOptions;
  readonly #signal: AbortSignal;
  readonly #known = new Map<string, KnownPlane>();
  readonly #queue = new WorkQueue();
  readonly #looks = new Looks();
  /** Planes of which it is to be seen whether somebody uses them: beside the queue, since a look may take minutes. */
  readonly #uses = new WorkQueue();
  readonly #leaving: Leaving;
  readonly #metrics: Metrics;

  constructor(cluster: WholeCluster, options: OperatorOptions, signal: AbortSignal, metrics: Metrics) {
    this.#cluster = cluster;
    this.#options = options;
    this.#signal = signal;
    this.#metrics = metrics;
    this.#leaving = new Leaving(cluster, options, signal);
  }

  async run(setbacks: Setbacks): Promise<void> {
    const ended = new AbortController();
    const signal = AbortSignal.any([this.#signal, ended.signal]);
    this.#metrics.leads({
      objects: () => [...this.#known.values()].map(({ object }) => object),
      due: () => this.#queue.due,
    });
    const working = Promise.all([
      this.#queue.run(this.#options.workers, (key) => this.#look(key), signal),
      this.#uses.run(2, (key) => this.#lookForUse(key), signal),
    ]);
    const onFailure = (error: unknown) => setbacks.tell('watch HostedControlPlanes', error);
    try {
      await follow<HostedControlPlane>(this.#cluster, kind, {}, signal, (event) => this.#onEvent(event), {
        longest: 15_000,
        onFailure,
      });
    } finally {
      ended.abort();
      await atMost(pause.end, working);
      this.#metrics.leads(undefined);
      for (const known of this.#known.values()) known.unwatch();
    }
  }

  #onEvent({ type, object }: WatchEvent<HostedControlPlane>): void {
    const key = object.metadata.namespace!;
    const known = this.#known.get(key);
    const isKnown = known?.object.metadata.uid === object.metadata.uid;
    const isGone = type === 'DELETED' || object.metadata.deletionTimestamp !== undefined;
    if (isGone || !isKnown) this.#forget(key);
    if (type === 'DELETED') this.#leaving.left(object);
    if (type !== 'DELETED' && isGone && holdsForBackup(object)) this.#leaving.leave(object);
    else if (known && isGone && isKnown) void afterDeletion(object, known.around(this.#signal));
    if (isGone) return;
    const now = this.#known.get(key);
    if (now && isOlder(object, now.object)) return;
    if (!now || isNews(now.object, object)) this.#queue.add(key, this.#looks.isHurried(key) ? pause.soonAgain : 0);
    if (now) now.object = object;
    else this.#known.set(key, new KnownPlane(object, this.#cluster, this.#options));
  }

  /** What is under way for it ends, so that nothing is made anew that goes with the object. */
  #forget(key: string): void {
    this.#known.get(key)?.end();
    this.#known.delete(key);
    this.#queue.forget(key);
    this.#uses.forget(key);
  }

  /** @returns in how many milliseconds the plane is looked at again without a reason */
  async #look(key: string): Promise<number | undefined> {
    const known = this.#known.get(key);
    if (!known) return undefined;
    const { object, said } = known;
    const around = known.around(AbortSignal.any([this.#signal, known.gone]));
    this.#looks.begin(key);
    said.next();
    const failed = (error: unknown) => {
      if (!around.signal.aborted) around.reporter.warn(messageOf(error));
      return 'failed' as const;
    };
    if (lifeOf(object).paused) {
      if ((await reconcilePaused(object, around).catch(failed)) === 'failed') throw new Error('tried again later');
      return undefined;
    }
    // What happens from here on is noticed, though this look may be past it.
    await this.#watch(known, around);
    const started = performance.now();
    const outcome = await reconcile(object, around).catch(failed);
    if (known.gone.aborted) return undefined;
    known.looked = performance.now();
    const took = known.looked - started;
    this.#metrics.looked(outcome, took);
    said.say('info', `${outcome} after ${Math.round(took)} ms`, outcome);
    // Of a plane that was not watched yet, something may have changed since its objects were read.
    if (await this.#watch(known, around)) this.#queue.add(key, pause.usual);
    this.#uses.add(key);
    const next = nextChange(object, new Date());
    // A moment later, and not by chance as all else.
    if (next) this.#queue.add(key, Math.min(next.getTime() - Date.now() + 100, longestPlan));
    if (outcome === 'failed') throw new Error('tried again later');
    return outcome === 'refused' ? pause.refused : this.#options.every;
  }

  /** @returns in how many milliseconds it is to be seen again */
  async #lookForUse(key: string): Promise<number | undefined> {
    const known = this.#known.get(key);
    if (!known) return undefined;
    const { next, unused } = await lookForUse(known.object, known.around(AbortSignal.any([this.#signal, known.gone])));
    if (unused) this.#queue.add(key);
    return next;
  }

  /** @returns whether some of it was not watched yet */
  #watch(known: KnownPlane, around: ReconcileContext): Promise<boolean> {
    return known.watch(around, () => {
      this.#metrics.drifted();
      const isSoon = known.looked !== undefined && performance.now() - known.looked < pause.soon;
      this.#queue.add(known.key, isSoon ? pause.soonAgain : pause.usual);
    });
  }
}

async function atMost(milliseconds: number, work: Promise<unknown>): Promise<void> {
  const isOver = new AbortController();
  const limit = sleep(milliseconds, undefined, { signal: isOver.signal }).catch(() => undefined);
  await Promise.race([work, limit]);
  isOver.abort();
}

/** Whether somebody asked for something else; the operator's own writes to the status are no news. */
function isNews(before: HostedControlPlane, after: HostedControlPlane): boolean {
  const asked = ({ metadata: { generation, annotations } }: HostedControlPlane) =>
    [generation, annotations?.[consentAnnotation], annotations?.[lookAnnotation], annotations?.[usedAnnotation]].join();
  return asked(before) !== asked(after);
}
