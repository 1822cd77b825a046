import { UserError } from '../base/errors.ts';
import { command, words } from '../base/words.ts';
import { explainCallError, isConflict, isNotFound } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { type ConfigMap, type Job, type KubeObject, nameOf, type OwnerReference } from '../kube/objects.ts';
import { lifetimeKind, lifetimeName, recordName } from '../plane/names.ts';
import { recordKind } from '../plane/record.ts';
import { takeInventory } from './inventory.ts';
import { isObject } from './ownership.ts';

/**
 * When a plane ends by itself. A Job that runs no pod owns such a plane (docs/adr/0043-a-life-that-ends.md). The Job's deadline
 * is the plane's: the Job controller ends the Job, the TTL controller deletes the Job, and the garbage collector deletes all
 * objects that the Job owns.
 */
export interface Lifetime {
  /** RFC 3339; absent where the Job has no deadline. */
  endsAt?: string;
  /** Whether the Job controller counts the time already; until then `endsAt` assumes that it begins now. */
  counted: boolean;
}

export async function readLifetimeJob(cluster: InfraCluster): Promise<Job | undefined> {
  try {
    return await cluster.get<Job>(lifetimeKind, lifetimeName);
  } catch (error) {
    throw explainCallError(error, `read the job "${lifetimeName}" of namespace "${cluster.namespace}"`);
  }
}

/**
 * The Job's deadline counts from the moment at which the Job controller first saw it. Pure. @returns undefined without a Job
 */
export function lifetimeOf(job: Job | undefined, now = new Date()): Lifetime | undefined {
  if (!job) return undefined;
  const { startTime } = job.status ?? {};
  const seconds = job.spec?.activeDeadlineSeconds;
  const begin = startTime ? Date.parse(startTime) : now.getTime();
  return {
    ...(seconds !== undefined && { endsAt: new Date(begin + seconds * 1000).toISOString().replace('.000Z', 'Z') }),
    counted: startTime !== undefined,
  };
}

/** Whether the deadline has passed, or somebody has deleted the Job: its objects are being deleted, or will be at once. */
export function isOver({ metadata, status }: Job): boolean {
  return (
    metadata.deletionTimestamp !== undefined ||
    status?.conditions?.some(
      ({ type, status: is }) => is === 'True' && ['Failed', 'FailureTarget', 'Complete'].includes(type),
    ) === true
  );
}

export function ownerReference({ metadata: { name, uid } }: Job): OwnerReference {
  return { ...lifetimeKind, name, uid: uid! };
}

/**
 * The cluster for writes of the plane's objects: it names the plane's owner, where the plane ends by itself or with its
 * HostedControlPlane. An apply without the owner takes the owner off, and the object would stay when its owner goes.
 *
 * @throws UserError `lifetime` for a plane that has just ended: new objects would be deleted with it
 */
export async function asOwner(cluster: InfraCluster): Promise<InfraCluster> {
  const job = await readLifetimeJob(cluster);
  if (job && isOver(job)) throw lifeEnded(cluster.namespace);
  if (job) return cluster.ownedBy(ownerReference(job));
  // The operator knows by the object itself which owner is to be named, and whether there is to be one.
  if (cluster.object !== undefined) return cluster;
  const record = await cluster.get<ConfigMap>(recordKind, recordName);
  const owner = record?.metadata.ownerReferences?.find(isObject);
  return owner ? cluster.ownedBy(owner) : cluster;
}

export function lifeEnded(namespace: string): UserError {
  return new UserError({
    what: `the life of the plane in namespace "${namespace}" has ended`,
    why: `its deadline has passed, or its job "${lifetimeName}" or its HostedControlPlane was deleted: the infra cluster deletes everything that one owned`,
    fix: words`wait until it is gone (${command('destroy', namespace)} waits too, and deletes what is left), then make a new one`,
    anchor: 'lifetime',
  });
}

/** Adds the owner to all of the plane's objects without it: older ones, and those that a controller made. */
export async function adoptAll(cluster: InfraCluster, owner: OwnerReference): Promise<void> {
  const { owned, lease } = await takeInventory(cluster);
  const without = [...owned, ...(lease ? [lease] : [])].filter((object) => !isOwnedBy(object, owner));
  await Promise.all(without.map((object) => changeOwners(cluster, object, (owners) => [...owners, owner])));
}

export function isOwnedBy({ metadata }: KubeObject, { uid }: OwnerReference): boolean {
  return metadata.ownerReferences?.some((each) => each.uid === uid) === true;
}

/** Changes the owners of one object; one that is gone, or was made anew meanwhile, is left alone. */
export async function changeOwners(
  cluster: InfraCluster,
  object: KubeObject,
  change: (owners: OwnerReference[]) => OwnerReference[],
): Promise<void> {
  const { name, uid } = object.metadata;
  let now: KubeObject | undefined = object;
  for (let attempt = 1; now?.metadata.uid === uid; attempt++) {
    const ownerReferences = change(now?.metadata.ownerReferences ?? []);
    const resourceVersion = now?.metadata.resourceVersion;
    try {
      await cluster.merge(object, name, { metadata: { uid, resourceVersion, ownerReferences } });
      return;
    } catch (error) {
      if (isNotFound(error)) return;
      if (!isConflict(error) || attempt === 5)
        throw explainCallError(error, `change the owner of ${nameOf(object)} in namespace "${cluster.namespace}"`);
      now = await cluster.get(object, name);
    }
  }
}
