import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { OwnerReference } from '../kube/objects.ts';
import type { Work } from '../ui/work.ts';
import { refuseOthersPlane } from './followed.ts';
import type { Held } from './held.ts';
import { adoptAll, asOwner, isOver, readLifetimeJob } from './lifetime.ts';
import { acquireLock } from './lock.ts';
import { openPlane, type Plane, refuseAsleep, refuseUnfinished } from './open.ts';
import { requireRecord } from './record.ts';

/** A plane as it was read while this run held its lock. */
export interface HeldPlane extends Plane {
  readonly held: Held;
}

/**
 * Runs `run` while this process holds the lock of the namespace, which may have no plane yet. The lock is given back in
 * every case, and an error that follows from an aborted signal is thrown as the reason of that signal.
 *
 * Where the plane's life ends by itself, all that is written names its owner, and in the end every object of the plane does.
 *
 * @param activity what the other run is told while it waits: `deploy`
 * @param options `ending`: the operation copes with a plane whose life has ended, and makes nothing
 * @throws UserError `plane-busy` when another run holds the lock, or has taken it over meanwhile; `lifetime`; `not-adopted` and
 *   `plane-follows-object`
 */
export async function withLock<T>(
  cluster: InfraCluster,
  activity: string,
  work: Work,
  run: (held: Held) => Promise<T>,
  options: { ending?: 'allowed' } = {},
): Promise<T> {
  const lock = await orReason(work.signal, () => acquireLock(cluster, activity, work.reporter, work.signal, options));
  const signal = AbortSignal.any([work.signal, lock.lost]);
  let result: T;
  try {
    result = await orReason(signal, async () => {
      await refuseOthersPlane(cluster, activity);
      if (options.ending) return run({ ...work, signal, cluster } as Held);
      const owned = await asOwner(cluster);
      const done = await run({ ...work, signal, cluster: owned } as Held);
      if (owned.owner) await nameOwner(cluster, owned.owner);
      return done;
    });
    // What was written without the lock may be overwritten by now.
    lock.lost.throwIfAborted();
  } catch (error) {
    // The cause is worth more than that the lock could not be given back.
    await lock.release().catch(() => undefined);
    throw error;
  }
  await lock.release();
  return result;
}

/** Also on what controllers made. An owner that is there no more would take everything along. */
async function nameOwner(cluster: InfraCluster, owner: OwnerReference): Promise<void> {
  const job = await readLifetimeJob(cluster);
  if (job?.metadata.uid === owner.uid && !isOver(job)) await adoptAll(cluster, owner);
}

/**
 * The frame of every operation on a plane that is there: takes the lock, reads the plane under it, and gives the lock back in
 * every case. Without a plane, no lock is taken.
 *
 * @param options `asleep`: the operation copes with a plane that sleeps; `phase`: with one that has never been available
 * @throws UserError `no-plane`, `plane-incomplete`, `restore-unfinished`, `plane-asleep`, and as withLock
 */
export async function withPlane<T>(
  cluster: InfraCluster,
  activity: string,
  work: Work,
  run: (plane: HeldPlane) => Promise<T>,
  options: { asleep?: 'allowed'; phase?: 'any' } = {},
): Promise<T> {
  await requireRecord(cluster);
  return withLock(cluster, activity, work, async (held) => {
    const plane = await openHeld(held);
    if (options.phase !== 'any') refuseUnfinished(cluster, plane.record);
    if (options.asleep !== 'allowed') refuseAsleep(cluster, plane.record);
    return run(plane);
  });
}

/** Reads the plane, or reads it again after a step that changed it. @throws UserError `no-plane`, `plane-incomplete` */
export async function openHeld(held: Held): Promise<HeldPlane> {
  return { ...(await openPlane(held.cluster)), held };
}

async function orReason<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    signal.throwIfAborted();
    return await work();
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
}
