import type { InfraCluster } from '../kube/infra-cluster.ts';
import { readRecord } from '../live/record.ts';
import { settleOwner } from '../operations/adopt.ts';
import { type HostedControlPlane, lifeOf } from './object.ts';
import type { ReconcileContext } from './plane-account.ts';

/**
 * Puts deletionPolicy in force, and says then that it is: who owns what, and whether the object waits for a last backup. Before all else of a
 * new spec: the rest may be refused, wait or fail, and whoever deletes the object then relies on its policy. At each moment of it, the object goes
 * by one of the two policies.
 */
export async function settleEnd(
  object: HostedControlPlane,
  cluster: InfraCluster,
  around: ReconcileContext,
): Promise<void> {
  const { deletionPolicy } = lifeOf(object);
  const { observedGeneration, deletionPolicy: inForce } = object.status ?? {};
  const waits = deletionPolicy === 'Backup';
  // Whoever changes their mind in this moment is not let go by what is about to end.
  if (deletionPolicy === 'Delete' || (waits && inForce === 'Retain'))
    await around.tell([], { deletionPolicy: 'Delete' });
  if (waits) await around.hold(true);
  if (object.metadata.generation !== observedGeneration || inForce !== deletionPolicy) {
    const recorded = await readRecord(cluster);
    if (recorded) await settleOwner(cluster, recorded.planeId, around);
  }
  if (!waits) await around.hold(false);
  await around.tell([], { deletionPolicy });
}

/**
 * An object whose plane the operator may not touch waits for no backup.
 *
 * @param isOthers whether the plane does not follow the object; otherwise the namespace may not be entered, and its owners stay as they are
 */
export async function letEndGo(
  { status }: HostedControlPlane,
  around: ReconcileContext,
  isOthers: boolean,
): Promise<void> {
  await around.hold(false);
  const inForce = status?.deletionPolicy;
  if (inForce && (isOthers || inForce === 'Backup')) await around.tell([], { deletionPolicy: null });
}
