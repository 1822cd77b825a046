import { UserError } from '../../base/errors.ts';
import { hostedControlPlane, hostedControlPlaneName } from '../../config/hosted-control-plane.ts';
import { explainCallError } from '../../kube/errors.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import { nameOf } from '../../kube/objects.ts';
import { followsObject, objectOf } from '../../live/followed.ts';
import { takeInventory } from '../../live/inventory.ts';
import { destroy } from '../destroy.ts';
import { removeNamespace } from './namespaces.ts';
import { forEach, type Lesson, type Outcome, type Student } from './queue.ts';

export interface EndedPlane {
  student: string;
  namespace: string;
  /** Objects. */
  deleted: number;
  /** Whether the namespace is gone too. */
  namespaceGone: boolean;
}

/**
 * Deletes the planes of students, reads each namespace again, and deletes the namespaces that were made for the class.
 *
 * @throws the signal's reason
 */
export function endClass(lesson: Lesson, className: string, students: Student[]): Promise<Outcome<EndedPlane>[]> {
  return forEach(
    students,
    lesson,
    ['ending', ({ namespaceGone }: EndedPlane) => (namespaceGone ? 'gone' : 'gone, its namespace stays')],
    async (cluster, { name, namespace }, work) => {
      await deleteUnmade(cluster);
      const inventory = await takeInventory(cluster);
      const { owned, pods, lifetime, lease, record } = inventory;
      const isThere = owned.length + pods.length > 0 || lifetime !== undefined || lease !== undefined;
      const { deleted } = isThere ? await destroy(cluster, { ...work, agreed: record }) : { deleted: 0 };
      const after = await takeInventory(cluster);
      const object = await objectOf(cluster);
      const left = [
        ...after.owned,
        ...after.pods,
        ...(after.lifetime ? [after.lifetime] : []),
        ...(object ? [object] : []),
      ];
      if (left.length > 0)
        throw new UserError({
          what: `${left.length} objects are left in namespace "${namespace}": ${left.map(nameOf).join(', ')}`,
          anchor: 'not-gone',
        });
      return { student: name, namespace, deleted, namespaceGone: await removeNamespace(cluster, className, work) };
    },
  );
}

/** An object of which no plane is there yet, or another's: the operator would go on trying. destroy deletes the object of a plane. */
async function deleteUnmade(cluster: InfraCluster): Promise<void> {
  const object = await objectOf(cluster);
  if (!object || (await followsObject(cluster))) return;
  await cluster.delete(hostedControlPlane, hostedControlPlaneName, object.metadata.uid).catch((error: unknown) => {
    throw explainCallError(error, `delete the HostedControlPlane of namespace "${cluster.namespace}"`);
  });
}
