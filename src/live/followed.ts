import { UserError } from '../base/errors.ts';
import { again, command, words } from '../base/words.ts';
import { hostedControlPlane, hostedControlPlaneName } from '../config/hosted-control-plane.ts';
import { ApiError, explainCallError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ConfigMap, KubeObject } from '../kube/objects.ts';
import { objectAnnotation, recordName } from '../plane/names.ts';
import { recordKind } from '../plane/record.ts';

/**
 * What changes the same things as the object of a plane does: while the operator makes the plane what its object says, the other
 * would be undone. All other operations take the lock on every plane, and the operator waits meanwhile.
 */
export const ofTheObject = ['deploy', 'upgrade', 'restore', 'sleep', 'wake', 'workers scale', 'logs'];

/** UID of the HostedControlPlane in the annotation of a record. Pure. */
export function followedBy(record: Pick<ConfigMap, 'metadata'> | undefined): string | undefined {
  return record?.metadata.annotations?.[objectAnnotation];
}

/**
 * Whether the plane follows an object that is there. Whoever may not read HostedControlPlanes is told that it does where the record says
 * so, because the object may be there.
 */
export async function followsObject(cluster: InfraCluster): Promise<boolean> {
  const uid = followedBy(await cluster.get<ConfigMap>(recordKind, recordName));
  if (uid === undefined) return false;
  try {
    return (await cluster.get(hostedControlPlane, hostedControlPlaneName))?.metadata.uid === uid;
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) return true;
    throw explainCallError(error, `read the HostedControlPlane of namespace "${cluster.namespace}"`);
  }
}

/** What others than the operator read of a HostedControlPlane. */
export interface PlaneObject extends KubeObject {
  spec: { expiresAt?: string };
  status?: { conditions?: { type: string; status: string; message: string }[] };
}

/** The object of the namespace; undefined also where the infra cluster knows none, or it may not be read. */
export async function objectOf(cluster: InfraCluster): Promise<PlaneObject | undefined> {
  try {
    return await cluster.get<PlaneObject>(hostedControlPlane, hostedControlPlaneName);
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) return undefined;
    throw explainCallError(error, `read the HostedControlPlane of namespace "${cluster.namespace}"`);
  }
}

/**
 * Keeps the command line and the operator from working on one plane against each other.
 *
 * @param activity as withLock has it
 * @throws UserError `not-adopted` for the operator, `plane-follows-object` for everybody else
 */
export async function refuseOthersPlane(cluster: InfraCluster, activity: string): Promise<void> {
  if (cluster.object !== undefined) {
    const record = await cluster.get<ConfigMap>(recordKind, recordName);
    if (record && followedBy(record) !== cluster.object) throw notAdopted(cluster.namespace);
  } else if (ofTheObject.includes(activity) && (await followsObject(cluster)))
    throw followsItsObject(cluster.namespace);
}

/**
 * Keeps the command line from what an object has made beside its plane: a schedule of backups, which carries the same annotation as the
 * record.
 *
 * @throws UserError `plane-follows-object`
 */
export async function refuseOfObject(
  cluster: InfraCluster,
  made: Pick<ConfigMap, 'metadata'> | undefined,
): Promise<void> {
  if (cluster.object === undefined && followedBy(made) !== undefined && (await followsObject(cluster)))
    throw followsItsObject(cluster.namespace);
}

function notAdopted(namespace: string): UserError {
  return new UserError({
    what: `namespace "${namespace}" has a plane already, which does not follow this object`,
    why: 'the command line made it, or another object that is gone; this object would change it, and with deletionPolicy Delete it would delete it in the end',
    fix: words`let it follow this object: ${command('adopt', namespace)} shows first what would change. Or delete this object: the plane stays as it is`,
    anchor: 'not-adopted',
    kind: 'refused',
  });
}

function followsItsObject(namespace: string): UserError {
  return new UserError({
    what: `the plane in namespace "${namespace}" follows its HostedControlPlane`,
    why: 'the operator would change it back to what the object says',
    fix: words`change the object: kubectl -n ${namespace} edit hcp k8sk8s. Or take the plane from the operator with ${command('release', namespace)}, then ${again}`,
    anchor: 'plane-follows-object',
    kind: 'refused',
  });
}
