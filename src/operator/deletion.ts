import { messageOf } from '../base/errors.ts';
import { isNotFound } from '../kube/errors.ts';
import type { ConfigMap } from '../kube/objects.ts';
import { followedBy } from '../live/followed.ts';
import { endApiServers } from '../live/pods.ts';
import { follow } from '../operations/adopt.ts';
import { recordName } from '../plane/names.ts';
import { recordKind } from '../plane/record.ts';
import { type HostedControlPlane, lifeOf } from './object.ts';
import { asPlaneAccount, type ReconcileContext } from './plane-account.ts';

/**
 * What the operator adds once an object is deleted. Nothing waits for it: without the operator, the garbage collector takes the plane
 * away too, and later by the grace of an API server whose etcd is gone; and a plane that stays can be adopted, or released, as it is.
 */
export async function afterDeletion(object: HostedControlPlane, around: ReconcileContext): Promise<void> {
  const cluster = asPlaneAccount(object, around);
  try {
    const record = await cluster.get<ConfigMap>(recordKind, recordName);
    // A plane that was released, or is another object's. Without a record it is on its way already.
    if (record && followedBy(record) !== object.metadata.uid) return;
    if (stays(object)) {
      if (record) await follow(cluster, null);
      return;
    }
    const { planeId } = object.status ?? {};
    // At once: the first deletion of a pod decides on its grace, and the garbage collector is on its way.
    if (planeId) await endApiServers(cluster, planeId);
  } catch (error) {
    if (!isNotFound(error)) around.reporter.warn(messageOf(error));
  } finally {
    await cluster.close();
  }
}

/** Whether the plane outlives its object: by its policy, or because whoever deleted the object wanted orphans. Pure. */
function stays(object: HostedControlPlane): boolean {
  return lifeOf(object).deletionPolicy === 'Retain' || object.metadata.finalizers?.includes('orphan') === true;
}
