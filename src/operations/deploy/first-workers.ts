import { admitFirstToken, firstWorkerPodSecret } from '../../access/worker-pod-secret.ts';
import { demandApart } from '../../hosted/worker-pods/apart.ts';
import { workerPodsOf } from '../../hosted/worker-pods/ensure.ts';
import { hasOtherVolumes } from '../../hosted/worker-pods/volumes.ts';
import type { KubeObject, Secret, Workload } from '../../kube/objects.ts';
import { applyAll } from '../../live/apply.ts';
import { podsOf } from '../../live/pods.ts';
import { isUnschedulable } from '../../live/seen-pods.ts';
import { workerPodsName } from '../../plane/beside/worker-pods/worker-pods.ts';
import { apiServerClients } from '../../plane/components/lookup.ts';
import { waitAtMost } from '../../ui/wait-for.ts';
import type { DeployState } from './state.ts';

/** Of a plane that never was available: later its workers join whenever they are made. */
export function hasFirstWorkers({ record, spec, restores }: DeployState): boolean {
  return record.phase === 'deploying' && spec.workerPods > 0 && !restores;
}

/**
 * Worker pods take as long as the control plane to start, most of it for images. So they start beside it, with a token that the hosted
 * API learns later: their kubelets wait for it. etcd and the API server came first and have their room; for controller-manager and
 * scheduler, which come when the API server answers, `makeRoomForClients` sees to it.
 */
export async function beginWorkers(state: DeployState): Promise<void> {
  const { cluster, record, spec, existing, rendered, held, applied } = state;
  demandApart(spec, await podsOf(cluster, record.planeId));
  const apply = (objects: KubeObject[]) => applyAll(cluster, record.planeId, objects, existing, applied, held.reporter);
  // What a run that was killed has left takes more than an apply.
  if (rendered.beside[workerPodsName].some((object) => hasOtherVolumes(existing.find(object), object))) return;
  await apply([firstWorkerPodSecret(state, existing.find<Secret>(secretOfWorkers))]);
  await apply(rendered.beside[workerPodsName].map((object) => withoutEnding(object, existing.find<Workload>(object))));
}

/** Workers of a run that was killed may have joined: those that are too many are drained before they end, when the hosted API answers. */
export function withoutEnding(object: KubeObject, before: Workload | undefined): KubeObject {
  const { replicas } = (object as Workload).spec;
  const there = before?.spec.replicas ?? 0;
  if (object.kind !== 'StatefulSet' || replicas === undefined || there <= replicas) return object;
  return { ...object, spec: { ...(object as Workload).spec, replicas: there } } as KubeObject;
}

/** Milliseconds in which the scheduler of the infra cluster has looked at a pod. */
const patience = 5000;

/**
 * On nodes that are nearly full, worker pods may have the room that controller-manager and scheduler need, without which they are of no
 * use: they give it back, and are made again when the plane is available. For when those two have just been made.
 */
export async function makeRoomForClients(state: DeployState): Promise<void> {
  const { cluster, record, held } = state;
  let isFull = false;
  await waitAtMost({
    until: async () => {
      const pods = await Promise.all(apiServerClients.map((name) => podsOf(cluster, record.planeId, name)));
      isFull = pods.flat().some(isUnschedulable);
      return isFull || pods.every((own) => own.some(({ spec }) => spec.nodeName));
    },
    timeout: patience,
    signal: held.signal,
    every: 100,
  });
  if (!isFull) return;
  held.reporter.line('The infra nodes have no room for the control plane beside the worker pods: those come after it');
  await cluster.merge(statefulSetKind, workerPodsName, { spec: { replicas: 0 } });
  for (const pod of await workerPodsOf(state)) await cluster.endPod(pod, 1);
}

/** The rights of who has the token are there by now: a kubelet that gets in before them gives up. */
export async function letFirstWorkersJoin({ cluster, hosted }: DeployState): Promise<void> {
  await admitFirstToken(hosted, await cluster.get<Secret>(secretOfWorkers, workerPodsName));
}

const statefulSetKind = { apiVersion: 'apps/v1', kind: 'StatefulSet' };
const secretOfWorkers = { apiVersion: 'v1', kind: 'Secret', metadata: { name: workerPodsName } };
