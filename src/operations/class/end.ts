import { UserError } from '../../base/errors.ts';
import { again, words } from '../../base/words.ts';
import { hostedControlPlane, hostedControlPlaneName } from '../../config/hosted-control-plane.ts';
import { explainCallError } from '../../kube/errors.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import { nameOf } from '../../kube/objects.ts';
import { followsObject, objectOf } from '../../live/followed.ts';
import { takeInventory } from '../../live/inventory.ts';
import { waitFor } from '../../ui/wait-for.ts';
import type { Work } from '../../ui/work.ts';
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
      const left = [...after.owned, ...after.pods, ...(after.lifetime ? [after.lifetime] : [])];
      if (left.length > 0)
        throw new UserError({
          what: `${left.length} objects are left in namespace "${namespace}": ${left.map(nameOf).join(', ')}`,
          anchor: 'not-gone',
        });
      await untilObjectGone(cluster, work);
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

/** Its finalizers are taken off by the garbage collector, and by an operator that has looked whether there is something to back up. */
async function untilObjectGone(cluster: InfraCluster, { timeout, signal }: Work): Promise<void> {
  await waitFor({
    until: async () => (await objectOf(cluster)) === undefined,
    every: 500,
    late: (after) =>
      new UserError({
        what: `the HostedControlPlane of namespace "${cluster.namespace}" is still there after ${after}`,
        why: 'its plane is gone; it was deleted too and has a finalizer that nobody removes, or somebody made another one',
        fix: words`see which one: kubectl -n ${cluster.namespace} get hcp k8sk8s -o yaml; then ${again}`,
        anchor: 'not-gone',
      }),
    timeout,
    signal,
  });
}
