import { revokeWorkerPodToken, workerPodSecret } from '../../access/worker-pod-secret.ts';
import { UserError } from '../../base/errors.ts';
import { again, words } from '../../base/words.ts';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import { type KubeObject, type Node, nameOf, type Pod, type Secret, type Workload } from '../../kube/objects.ts';
import { type Applied, applyAll, Existing } from '../../live/apply.ts';
import type { Plane } from '../../live/open.ts';
import {
  buildWorkerPods,
  joinsBy,
  workerPodLabel,
  workerPods,
  workerPodsName,
} from '../../plane/beside/worker-pods/worker-pods.ts';
import { belongsTo, planeSelector } from '../../plane/names.ts';
import { waitFor } from '../../ui/wait-for.ts';
import type { Work } from '../../ui/work.ts';
import { workerStatus } from '../workers.ts';
import { cordon, drain, open, removeNode } from './drain.ts';
import { isBeyond, outdatedWorkers } from './plan.ts';
import { dropOtherVolume, dropStatefulSetOfOtherVolumes, dropVolumes } from './volumes.ts';

const nodeKind = { apiVersion: 'v1', kind: 'Node' };
const statefulSetKind = { apiVersion: 'apps/v1', kind: 'StatefulSet' };
const secretKind = { apiVersion: 'v1', kind: 'Secret' };

/** A plane, of which more need not be known, whose hosted API answers. */
export interface WorkerPodsOf extends Pick<Plane, 'record' | 'spec' | 'addresses' | 'bundle'> {
  cluster: InfraCluster;
  hosted: HostedCluster;
}

/** What is said wherever worker pods are asked for. */
export const workerPodsDanger =
  'worker pods are privileged: who may make a privileged pod in the hosted cluster is root on the infra nodes that they run on';

/**
 * Makes the worker pods that the spec wants. Those that are too many are drained before they end, and their Nodes are deleted after
 * that, since a kubelet that starts makes its Node again. Killed anywhere and run again, it goes on.
 *
 * @returns false where a worker that was replaced is not Ready again
 * @throws UserError `worker-drain`, `not-gone`
 */
export async function ensureWorkerPods(plane: WorkerPodsOf, applied: Applied, work: Work): Promise<boolean> {
  const { cluster, hosted, record, spec } = plane;
  const existing = await Existing.read(cluster);
  const before = existing.find<Secret>({ ...secretKind, metadata: { name: workerPodsName } });
  await shrink(plane, work);
  if (spec.workerPods === 0) {
    await revokeWorkerPodToken(hosted, before);
    await removeAll(plane, existing, applied, work);
    return true;
  }
  const objects = buildWorkerPods(record.planeId, spec, {
    joins: joinsBy(spec, plane.addresses, plane.bundle),
    infraServices: record.infraServices,
  });
  const workload = objects.find(({ kind }) => kind === 'StatefulSet')!;
  const present = (await dropStatefulSetOfOtherVolumes(plane, existing, workload, work))
    ? await Existing.read(cluster)
    : existing;
  const apply = (some: KubeObject[]) => applyAll(cluster, record.planeId, some, present, applied, work.reporter);
  await apply([await workerPodSecret(plane, hosted, before)]);
  await apply(objects);
  const replaced = await replaceOutdated(plane, workload, work);
  if (replaced) await openAll(hosted);
  return replaced;
}

/** A run that was killed while it drained a worker, which is wanted after all or has been made anew, has left its Node closed. */
async function openAll(hosted: HostedCluster): Promise<void> {
  const { items } = await hosted.list<Node>(nodeKind, { labelSelector: workerPodLabel });
  for (const node of items) await open(hosted, node);
}

/** Worker pods of the plane, those that are ending among them. */
export async function workerPodsOf({ cluster, record }: Pick<WorkerPodsOf, 'cluster' | 'record'>): Promise<Pod[]> {
  const { items } = await cluster.pods(`${planeSelector(record.planeId)},app.kubernetes.io/name=${workerPodsName}`);
  return items;
}

async function shrink(plane: WorkerPodsOf, work: Work): Promise<void> {
  const { cluster, hosted, spec } = plane;
  const isTooMany = isBeyond(spec.workerPods);
  const nodes = (await hosted.list<Node>(nodeKind, { labelSelector: workerPodLabel })).items.filter(isTooMany);
  const pods = (await workerPodsOf(plane)).filter(isTooMany);
  if (nodes.length + pods.length === 0) return dropVolumes(plane, isTooMany, work);
  for (const node of nodes) await cordon(hosted, node);
  for (const { metadata } of nodes) await drain(hosted, metadata.name, work);
  if (await cluster.get<Workload>(statefulSetKind, workerPodsName))
    await cluster.merge(statefulSetKind, workerPodsName, { spec: { replicas: spec.workerPods } });
  await untilPodsEnded(plane, isTooMany, work);
  for (const { metadata } of nodes)
    if (await removeNode(hosted, metadata.name)) work.reporter.line(`node "${metadata.name}" deleted`);
  await dropVolumes(plane, isTooMany, work);
}

async function untilPodsEnded(
  plane: WorkerPodsOf,
  which: (pod: Pod) => boolean,
  { reporter, timeout, signal }: Work,
): Promise<void> {
  let left: Pod[] = [];
  await reporter.during('Waiting until worker pods have ended', (phase) =>
    waitFor({
      until: async () => {
        left = (await workerPodsOf(plane)).filter(which);
        return left.length === 0;
      },
      now: () => left.map(nameOf).join(', '),
      phase,
      timeout,
      signal,
      late: (after) =>
        new UserError({
          what: `worker pods are still there after ${after}: ${left.map(({ metadata }) => metadata.name).join(', ')}`,
          why: 'something holds them: a node that does not answer, or a finalizer',
          fix: words`look at them with kubectl -n ${plane.cluster.namespace} describe pod, then ${again}`,
          anchor: 'not-gone',
        }),
    }),
  );
}

async function removeAll(
  { cluster, record }: WorkerPodsOf,
  existing: Existing,
  applied: Applied,
  { reporter }: Work,
): Promise<void> {
  const objects = workerPods.kinds
    .flatMap(({ kind }) => existing.ofKind(kind))
    .filter((object) => object.metadata.name === workerPodsName && belongsTo(object, record.planeId));
  for (const object of objects) {
    if (!(await cluster.delete(object, object.metadata.name, object.metadata.uid))) continue;
    applied.changed.push(nameOf(object));
    reporter.line(`${nameOf(object)} deleted`);
  }
}

/**
 * One at a time, each drained first, so that the PodDisruptionBudgets of the hosted cluster hold.
 *
 * @returns false where it stopped at a worker that is not Ready again
 */
async function replaceOutdated(plane: WorkerPodsOf, workload: KubeObject, work: Work): Promise<boolean> {
  const { cluster, hosted } = plane;
  for (const { metadata } of outdatedWorkers(await workerPodsOf(plane), workload)) {
    work.reporter.line(`worker ${metadata.name} is made anew: its image or settings, HOST or the CA have changed`);
    await drain(hosted, metadata.name, work);
    await dropOtherVolume(plane, metadata.name, workload);
    await cluster.delete({ apiVersion: 'v1', kind: 'Pod' }, metadata.name, metadata.uid);
    await untilPodsEnded(plane, (pod) => pod.metadata.uid === metadata.uid, work);
    const node = await untilReadyAgain(hosted, metadata.name, work);
    if (!node) return false;
    await open(hosted, node);
  }
  return true;
}

/** The Node of before tells that it is Ready until a kubelet reports again. */
async function untilReadyAgain(
  hosted: HostedCluster,
  name: string,
  { reporter, timeout, signal }: Work,
): Promise<Node | undefined> {
  const last = reported(await hosted.get<Node>(nodeKind, name));
  try {
    return await reporter.during(`Waiting for worker ${name}`, () =>
      waitFor({
        until: async () => {
          const node = await hosted.get<Node>(nodeKind, name);
          return node !== undefined && workerStatus(node).ready && reported(node) !== last && node;
        },
        timeout,
        signal,
        every: 500,
        late: (after) => new Error(`${name} was not Ready within ${after}`),
      }),
    );
  } catch (error) {
    signal.throwIfAborted();
    reporter.warn(`${(error as Error).message}, so no other worker pod is replaced`);
    return undefined;
  }
}

function reported(node: Node | undefined): string | undefined {
  return node?.status?.conditions?.find(({ type }) => type === 'Ready')?.lastHeartbeatTime;
}
