import type { KubeObject, Pod } from '../../kube/objects.ts';
import { isWorkerPods, workerPodNumber } from '../../plane/beside/worker-pods/worker-pods.ts';
import { templateHash, templateHashOf } from '../../plane/workloads.ts';
import { hasOtherVolumes } from './volumes.ts';

/** What a deploy would do to the worker pods that there are. */
export interface WorkerPlan {
  /** Names of those that are drained and made anew, one after the other. */
  replaced: string[];
  /** Names of those that are drained and end, whose Nodes and volumes are deleted. */
  ended: string[];
  /** Those that are made anew get other volumes, so their images and the data on them go. */
  otherVolumes: boolean;
}

/** Worker pods that were made of another template than the wanted one. Pure. */
export function outdatedWorkers(pods: Pod[], wanted: KubeObject): Pod[] {
  const hash = templateHashOf(wanted);
  return pods.filter(({ metadata }) => isWorkerPods({ metadata }) && metadata.annotations?.[templateHash] !== hash);
}

/** Whether a worker pod, its Node or its volume is one too many for so many workers. Pure. */
export function isBeyond(workers: number): (object: Pick<KubeObject, 'metadata'>) => boolean {
  return ({ metadata }) => (workerPodNumber(metadata.name) ?? -1) >= workers;
}

/**
 * The same as a plan. Pure.
 *
 * @param wanted the StatefulSet; none where the plane is to have no worker pods
 */
export function planWorkers(
  pods: Pod[],
  workers: number,
  before: KubeObject | undefined,
  wanted: KubeObject | undefined,
): WorkerPlan {
  const own = pods.filter(isWorkerPods);
  const tooMany = isBeyond(workers);
  const names = (some: Pod[]) => some.map(({ metadata }) => metadata.name);
  const replaced = wanted ? outdatedWorkers(own, wanted).filter((pod) => !tooMany(pod)) : [];
  return {
    replaced: names(replaced),
    ended: names(own.filter(tooMany)),
    otherVolumes: wanted !== undefined && replaced.length > 0 && hasOtherVolumes(before, wanted),
  };
}
