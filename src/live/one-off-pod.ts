import type { UserError } from '../base/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ContainerStatus, Pod } from '../kube/objects.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Patience } from '../ui/work.ts';
import { configReasons, imageReasons } from './pods.ts';

/** Makes the error out of why the pod did not come to where it was to be. */
export type Failed = (why: string) => UserError;

export const podKind = { apiVersion: 'v1', kind: 'Pod' };

/** In the spec of every pod that k8sk8s runs once, for itself: nothing of the namespace gets in, and it ends at once. */
export const oneOff = {
  restartPolicy: 'Never',
  automountServiceAccountToken: false,
  enableServiceLinks: false,
  terminationGracePeriodSeconds: 0,
};

/**
 * Waits until a pod is where it is to be, and no longer than that can happen.
 *
 * @throws what `failed` makes of it: the pod is gone, a container failed or cannot be started, or the time is over
 */
export async function waitForPod(
  cluster: InfraCluster,
  name: string,
  { timeout, signal }: Patience,
  reached: (pod: Pod) => boolean,
  failed: Failed,
): Promise<void> {
  let hindrance = '';
  await waitFor({
    until: async () => {
      const pod = await cluster.get<Pod>(podKind, name);
      if (!pod) throw failed(`its pod ${name} was deleted by somebody else`);
      if (reached(pod)) return true;
      const ended = statusesOf(pod).find(({ state }) => (state?.terminated?.exitCode ?? 0) !== 0);
      if (ended) throw failed(await lastWords(cluster, name, ended));
      const { words, hopeless } = hindranceOf(pod);
      if (hopeless) throw failed(words);
      hindrance = words;
      return false;
    },
    timeout,
    signal,
    late: (after) => failed(`${hindrance} after ${after}`),
  });
}

/** Deletes a pod that an earlier, killed run may have left, and waits until it is gone. @throws what `failed` makes */
export async function removePod(
  cluster: InfraCluster,
  name: string,
  { timeout, signal }: Patience,
  failed: Failed,
): Promise<void> {
  await cluster.delete(podKind, name);
  await waitFor({
    until: async () => !(await cluster.get<Pod>(podKind, name)),
    timeout,
    signal,
    late: (after) =>
      failed(`pod ${name} is still there after ${after}: a node that does not answer, or a finalizer, holds it`),
  });
}

/** What keeps a pod from running, in a few words, and whether no waiting mends it. Pure. */
export function hindranceOf(pod: Pod): { words: string; hopeless: boolean } {
  const waiting = statusesOf(pod).flatMap(({ state }) => state?.waiting ?? []);
  const stuck = waiting.find(({ reason = '' }) => imageReasons.has(reason) || configReasons.has(reason));
  if (stuck) return { words: `${stuck.reason}: ${stuck.message ?? 'the kubelet gives no detail'}`, hopeless: true };
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False')
    return { words: `its pod has no node: ${scheduled.message ?? 'the scheduler gives no detail'}`, hopeless: false };
  const [first] = waiting;
  return {
    words: `its pod is still ${pod.status?.phase ?? 'Pending'}${first?.reason ? ` (${first.reason})` : ''}`,
    hopeless: false,
  };
}

function statusesOf({ status }: Pod): ContainerStatus[] {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
}

async function lastWords(cluster: InfraCluster, pod: string, { name, state }: ContainerStatus): Promise<string> {
  const log = await cluster.log(pod, { container: name, tailLines: 8 }).catch(() => '');
  return `container ${name} ended with exit code ${state?.terminated?.exitCode}: ${lastLines(log) || 'it left no log'}`;
}

/** The end of what a program said: four lines, at most 600 characters. Pure. */
export function lastLines(text: string): string {
  return text.trim().split('\n').slice(-4).join('\n').slice(-600);
}
