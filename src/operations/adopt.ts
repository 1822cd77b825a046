import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../base/errors.ts';
import { again, command, option, words } from '../base/words.ts';
import { explainCallError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ConfigMap } from '../kube/objects.ts';
import { followedBy } from '../live/followed.ts';
import { readLifetimeJob } from '../live/lifetime.ts';
import { setOwner, wronglyOwned } from '../live/ownership.ts';
import { readRecord, requireRecord } from '../live/record.ts';
import { withLock } from '../live/with-plane.ts';
import { objectAnnotation, recordName } from '../plane/names.ts';
import { type PlaneRecord, recordKind } from '../plane/record.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Work } from '../ui/work.ts';

/**
 * Lets a plane follow a HostedControlPlane from now on. Nothing else of it is changed: the operator does the rest.
 *
 * @param request `uid` of the object, or what makes one and is asked once nothing stands against it; `agreed`: the record of the plane that
 *   the person was shown
 * @throws UserError `no-plane`, `plane-changed`, `lifetime`, and as withLock
 */
export async function adoptPlane(
  cluster: InfraCluster,
  { uid, agreed, ...work }: Work & { uid: string | (() => Promise<string>); agreed: PlaneRecord },
): Promise<void> {
  await withLock(cluster, 'adopt', work, async () => {
    if (!isDeepStrictEqual(await requireRecord(cluster), agreed)) throw changedMeanwhile(cluster.namespace);
    if (await readLifetimeJob(cluster)) throw endsByItself(cluster.namespace);
    await follow(cluster, typeof uid === 'string' ? uid : await uid());
  });
}

/**
 * Takes a plane from the operator: it stays as it is, does not go with its object any more, and is the command line's.
 *
 * An operator that is at work on the plane is waited for.
 *
 * @returns false where it followed no object
 * @throws UserError `plane-busy` once `timeout` has passed
 */
export async function releasePlane(cluster: InfraCluster, work: Work): Promise<boolean> {
  let busy: unknown;
  const { released } = await waitFor({
    until: () =>
      release(cluster, work).then(
        (released) => ({ released }),
        (error: unknown) => {
          if (!(error instanceof UserError && error.anchor === 'plane-busy')) throw error;
          busy = error;
          return undefined;
        },
      ),
    // The operator is at work, and ends its look.
    every: 1000,
    late: () => busy,
    timeout: work.timeout,
    signal: work.signal,
  });
  return released;
}

async function release(cluster: InfraCluster, work: Work): Promise<boolean> {
  return withLock(cluster, 'release', work, async () => {
    const record = await readRecord(cluster);
    const object = await cluster.get<ConfigMap>(recordKind, recordName);
    if (!record || !object) return false;
    const owned = await wronglyOwned(cluster, record.planeId, undefined);
    const followed = followedBy(object) !== undefined;
    // First: a plane without it the operator leaves alone.
    if (followed) await follow(cluster, null);
    await setOwner(cluster, owned, undefined);
    return followed || owned.length > 0;
  });
}

/** Gives every object of the plane the owner that the cluster's caller has, or takes it off, where that is not so yet. */
export async function settleOwner(cluster: InfraCluster, planeId: string, work: Work): Promise<void> {
  if ((await wronglyOwned(cluster, planeId, cluster.owner)).length === 0) return;
  await withLock(cluster, 'own', work, async () => {
    await setOwner(cluster, await wronglyOwned(cluster, planeId, cluster.owner), cluster.owner);
  });
}

/** @param uid null: no object any more */
export async function follow(cluster: InfraCluster, uid: string | null): Promise<void> {
  try {
    await cluster.merge(recordKind, recordName, { metadata: { annotations: { [objectAnnotation]: uid } } });
  } catch (error) {
    throw explainCallError(error, `write the record of the plane in namespace "${cluster.namespace}"`);
  }
}

function changedMeanwhile(namespace: string): UserError {
  return new UserError({
    what: `the plane in namespace "${namespace}" was changed meanwhile`,
    why: 'what was shown is not what would become of it now',
    fix: words`${again}`,
    anchor: 'plane-changed',
  });
}

function endsByItself(namespace: string): UserError {
  return new UserError({
    what: `the plane in namespace "${namespace}" ends by itself, and a plane that follows an object ends with that object`,
    fix: words`take its end off first, with ${command('deploy', namespace, option('ttl', 'none'))}`,
    anchor: 'lifetime',
    kind: 'refused',
  });
}
