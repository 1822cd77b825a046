import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import { UserError } from '../base/errors.ts';
import { explainCallError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { type KubeObject, nameOf } from '../kube/objects.ts';
import { type Inventory, takeInventory } from '../live/inventory.ts';
import { acquireLock } from '../live/lock.ts';
import { recordName } from '../plane/names.ts';
import type { Reporter } from '../ui/reporter.ts';

export interface DestroyRequest {
  /** What the person was shown and agreed to. */
  inventory: Inventory;
  reporter: Reporter;
  /** Milliseconds until everything has to be gone. */
  timeout: number;
  signal: AbortSignal;
}

/**
 * Deletes what is k8sk8s's in the namespace, waits until it is really gone, pods included, and lists again. The record
 * goes last but one and the lease last, so that a destroy that was killed can be run again.
 *
 * @returns how many objects were deleted
 * @throws UserError `not-gone` naming what is left when `timeout` has passed
 */
export async function destroy(cluster: InfraCluster, request: DestroyRequest): Promise<{ deleted: number }> {
  const { reporter, signal } = request;
  const lock = await acquireLock(cluster, 'destroy', reporter, signal);
  const stop = AbortSignal.any([signal, lock.lost]);
  let finished = false;
  try {
    const { owned } = await takeInventory(cluster);
    const record = owned.filter(isRecord);
    // An API server whose etcd is gone first does not end before its grace period does.
    const clients = owned.filter(({ kind }) => kind === 'Ingress' || kind === 'Deployment');
    let deleted = await deleteAll(cluster, clients, reporter);
    await untilClientsEnded(cluster, stop);
    const others = owned.filter((object) => !isRecord(object) && !clients.includes(object));
    deleted += await deleteAll(cluster, others, reporter);
    await untilGone(cluster, record.length, request, stop);
    const last = await deleteAll(cluster, record, reporter);
    await untilGone(cluster, 0, request, stop);
    finished = true;
    return { deleted: deleted + last };
  } catch (error) {
    throw stop.aborted ? stop.reason : error;
  } finally {
    await lock.release({ remove: finished });
  }
}

function isRecord(object: KubeObject): boolean {
  return object.kind === 'ConfigMap' && object.metadata.name === recordName;
}

/** Each object by its UID: one that was made anew under the same name meanwhile is not ours to delete. */
async function deleteAll(cluster: InfraCluster, objects: KubeObject[], reporter: Reporter): Promise<number> {
  const limit = pLimit(16);
  const gone = await Promise.all(
    objects.map((object) =>
      limit(async () => {
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

/** The pods of all components but etcd; not longer than they may take, since a dead node must not stop the rest. */
async function untilClientsEnded(cluster: InfraCluster, stop: AbortSignal): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const { pods } = await takeInventory(cluster);
    if (pods.every(({ metadata }) => metadata.labels?.['app.kubernetes.io/name'] === 'etcd') || Date.now() > deadline)
      return;
    await sleep(100, undefined, { signal: stop });
  }
}

async function untilGone(
  cluster: InfraCluster,
  remaining: number,
  { reporter, timeout }: DestroyRequest,
  stop: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + timeout;
  const phase = reporter.begin('Waiting until everything is gone');
  for (;;) {
    const { owned, pods } = await takeInventory(cluster);
    const left = [...owned, ...pods];
    if (left.length <= remaining && pods.length === 0) return phase.done('Everything is gone');
    phase.update(`${left.length - remaining} left: ${left.slice(0, 3).map(nameOf).join(', ')}`);
    if (Date.now() > deadline) {
      phase.fail();
      const held = left.filter((object) => object.metadata.deletionTimestamp);
      throw new UserError({
        what: `${left.length} objects of the plane are still there after ${Math.round(timeout / 1000)} s: ${left.map(nameOf).join(', ')}`,
        why:
          held.length > 0
            ? 'they are being deleted, but something holds them: a node that does not answer, or a finalizer'
            : undefined,
        fix: `look at them with kubectl -n ${cluster.namespace} describe, then run the command again`,
        anchor: 'not-gone',
      });
    }
    await sleep(150, undefined, { signal: stop });
  }
}
