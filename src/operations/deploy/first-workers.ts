import { admitFirstToken, firstWorkerPodSecret } from '../../access/worker-pod-secret.ts';
import { demandApart } from '../../hosted/worker-pods/apart.ts';
import { hasOtherVolumes } from '../../hosted/worker-pods/volumes.ts';
import type { KubeObject, Secret } from '../../kube/objects.ts';
import { applyAll } from '../../live/apply.ts';
import { podsOf } from '../../live/pods.ts';
import { workerPodsName } from '../../plane/beside/worker-pods/worker-pods.ts';
import type { DeployState } from './state.ts';

/** Of a plane that never was available: later its workers join whenever they are made. */
export function hasFirstWorkers({ record, spec, restores }: DeployState): boolean {
  return record.phase === 'deploying' && spec.workerPods > 0 && !restores;
}

/**
 * Worker pods take as long as the control plane to start, most of it for images. So they start beside it, with a token that the hosted
 * API learns later: their kubelets wait for it. etcd and the API server came first and have their room; controller-manager and scheduler
 * come when the API server answers, and may lack it on nodes that are nearly full.
 */
export async function beginWorkers(state: DeployState): Promise<void> {
  const { cluster, record, spec, existing, rendered, held, applied } = state;
  demandApart(spec, await podsOf(cluster, record.planeId));
  const apply = (objects: KubeObject[]) => applyAll(cluster, record.planeId, objects, existing, applied, held.reporter);
  // What a run that was killed has left takes more than an apply.
  if (rendered.beside[workerPodsName].some((object) => hasOtherVolumes(existing.find(object), object))) return;
  await apply([firstWorkerPodSecret(state, existing.find<Secret>(secretOfWorkers))]);
  await apply(rendered.beside[workerPodsName]);
}

/** The rights of who has the token are there by now: a kubelet that gets in before them gives up. */
export async function letFirstWorkersJoin({ cluster, hosted }: DeployState): Promise<void> {
  await admitFirstToken(hosted, await cluster.get<Secret>(secretOfWorkers, workerPodsName));
}

const secretOfWorkers = { apiVersion: 'v1', kind: 'Secret', metadata: { name: workerPodsName } };
