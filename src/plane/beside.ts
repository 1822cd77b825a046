import type { KubeObject } from '../kube/objects.ts';
import { isLogStore } from './log-store/log-store.ts';
import { isWorkerPods } from './worker-pods/worker-pods.ts';

/**
 * Whether a pod or a workload is no part of the control plane, though it is the plane's: a worker, or what keeps the logs. The plane
 * does without: what fails there stops no deploy and no upgrade.
 */
export function isBeside(object: Pick<KubeObject, 'metadata'>): boolean {
  return isWorkerPods(object) || isLogStore(object);
}
