import pLimit from 'p-limit';
import { UserError } from '../base/errors.ts';
import { again, words } from '../base/words.ts';
import { hostedControlPlane, hostedControlPlaneName } from '../config/hosted-control-plane.ts';
import { explainCallError, isNotFound } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { type ConfigMap, type KubeObject, nameOf } from '../kube/objects.ts';
import { followedBy, followsObject } from '../live/followed.ts';
import type { Held } from '../live/held.ts';
import { takeInventory } from '../live/inventory.ts';
import { endApiServers, isApiServer } from '../live/pods.ts';
import { withLock } from '../live/with-plane.ts';
import { planeKindOf } from '../plane/kinds.ts';
import { recordName } from '../plane/names.ts';
import { type PlaneRecord, recordKind } from '../plane/record.ts';
import { waitAtMost, waitFor } from '../ui/wait-for.ts';
import type { Work } from '../ui/work.ts';

/**
 * Deletes what is k8sk8s's in the namespace, waits until it is really gone, pods included, and lists again. The record
 * goes last but one and the lease last, so that a destroy that was killed can be run again.
 *
 * @param request `agreed`: the record of the plane that the person was shown; undefined where it has none
 * @returns how many objects were deleted
 * @throws UserError `not-gone` naming what is left when `timeout` has passed, `plane-changed` when another plane is there by now
 */
export async function destroy(
  cluster: InfraCluster,
  { agreed, ...work }: Work & { agreed: PlaneRecord | undefined },
): Promise<{ deleted: number }> {
  await deleteObject(cluster);
  return withLock(
    cluster,
    'destroy',
    work,
    async (held) => {
      const { deleted } = await destroyHeld(held, agreed);
      const { lifetime } = await takeInventory(cluster);
      return { deleted: deleted + (await deleteAll(held, lifetime ? [lifetime] : [])) };
    },
    { ending: 'allowed' },
  );
}

/** The operator would make a plane anew whose object stays. Nothing goes with the object here, so that all goes in its order. */
async function deleteObject(cluster: InfraCluster): Promise<void> {
  // The operator deletes a plane whose time is over, and its object says so.
  if (cluster.object !== undefined || !(await followsObject(cluster))) return;
  const uid = followedBy(await cluster.get<ConfigMap>(recordKind, recordName));
  await cluster.deleteAlone(hostedControlPlane, hostedControlPlaneName, uid).catch((error: unknown) => {
    throw explainCallError(error, `delete the HostedControlPlane of namespace "${cluster.namespace}"`);
  });
}

/** destroy in a namespace whose lock is held, and stays so: lease and lifetime are not deleted. */
export async function destroyHeld(held: Held, agreed: PlaneRecord | undefined): Promise<{ deleted: number }> {
  const { owned, record: present } = await takeInventory(held.cluster);
  // With one plane gone and another made meanwhile, what was agreed to is not what is here.
  if (present && present.planeId !== agreed?.planeId) throw otherPlane(held.cluster.namespace);
  const record = owned.filter(isRecord);
  // An API server whose etcd is gone first does not end before its grace period does.
  const clients = owned.filter((object) => planeKindOf(object)?.endsFirst);
  await endRunningApiServers(held.cluster, clients);
  let deleted = await deleteAll(held, clients);
  await untilClientsEnded(held);
  const others = owned.filter((object) => !isRecord(object) && !clients.includes(object));
  deleted += await deleteAll(held, others);
  await untilGone(held, record.length);
  deleted += await deleteAll(held, record);
  await untilGone(held, 0);
  return { deleted };
}

function otherPlane(namespace: string): UserError {
  return new UserError({
    what: `namespace "${namespace}" holds another plane than the one that was to be deleted`,
    why: 'another command has made or replaced it meanwhile, so nothing was deleted',
    fix: words`${again}, which shows the plane that is there now`,
    anchor: 'plane-changed',
  });
}

function isRecord(object: KubeObject): boolean {
  return object.kind === 'ConfigMap' && object.metadata.name === recordName;
}

/** Each object by its UID: one that was made anew under the same name meanwhile is not ours to delete. */
async function deleteAll({ cluster, reporter, signal }: Held, objects: KubeObject[]): Promise<number> {
  const limit = pLimit(16);
  const gone = await Promise.all(
    objects.map((object) =>
      limit(async () => {
        signal.throwIfAborted();
        try {
          return await cluster.delete(object, object.metadata.name, object.metadata.uid);
        } catch (error) {
          throw explainCallError(error, `delete ${nameOf(object)} in namespace "${cluster.namespace}"`);
        }
      }),
    ),
  );
  for (const [index, object] of objects.entries()) if (gone[index]) reporter.line(`${nameOf(object)} deleted`);
  return gone.filter(Boolean).length;
}

/** Before the API server's Deployment is deleted, which would give its pods their whole grace. */
async function endRunningApiServers(cluster: InfraCluster, clients: KubeObject[]): Promise<void> {
  const planeId = clients.find(isApiServer)?.metadata.labels?.['app.kubernetes.io/instance'];
  if (!planeId) return;
  try {
    await endApiServers(cluster, planeId);
  } catch (error) {
    if (!isNotFound(error)) throw explainCallError(error, `end the API server in namespace "${cluster.namespace}"`);
  }
}

/** The pods of all components but etcd; not longer than they may take, since a dead node must not stop the rest. */
async function untilClientsEnded({ cluster, signal }: Held): Promise<void> {
  await waitAtMost({
    until: async () => {
      const { pods } = await takeInventory(cluster);
      return pods.every(({ metadata }) => metadata.labels?.['app.kubernetes.io/name'] === 'etcd');
    },
    timeout: 10_000,
    signal,
    every: 100,
  });
}

async function untilGone({ cluster, reporter, timeout, signal }: Held, remaining: number): Promise<void> {
  let left: KubeObject[] = [];
  const gone = async () => {
    const { owned, pods } = await takeInventory(cluster);
    left = [...owned, ...pods];
    return left.length <= remaining && pods.length === 0;
  };
  await reporter.during(
    'Waiting until everything is gone',
    (phase) =>
      waitFor({
        until: gone,
        now: () => `${left.length - remaining} left: ${left.slice(0, 3).map(nameOf).join(', ')}`,
        phase,
        timeout,
        signal,
        every: 150,
        late: (after) => stillThere(left, after, cluster.namespace),
      }),
    'Everything is gone',
  );
}

function stillThere(left: KubeObject[], after: string, namespace: string): UserError {
  const held = left.filter((object) => object.metadata.deletionTimestamp);
  return new UserError({
    what: `${left.length} objects of the plane are still there after ${after}: ${left.map(nameOf).join(', ')}`,
    why:
      held.length > 0
        ? 'they are being deleted, but something holds them: a node that does not answer, or a finalizer'
        : undefined,
    fix: words`look at them with kubectl -n ${namespace} describe, then ${again}`,
    anchor: 'not-gone',
  });
}
