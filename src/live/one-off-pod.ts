import type { UserError } from '../base/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ContainerStatus, Pod } from '../kube/objects.ts';
import type { Phase } from '../ui/reporter.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Patience } from '../ui/work.ts';
import { describeProblem, podProblems } from './pod-problems.ts';

/** Makes the error out of why the pod did not come to where it was to be. */
export type Failed = (why: string) => UserError;

export const podKind = { apiVersion: 'v1', kind: 'Pod' };

/** What of a pod that k8sk8s makes tells which containers are its own. */
export interface OneOffPod {
  metadata: { name: string };
  spec: { initContainers?: { name: string }[]; containers: { name: string }[] };
}

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
 * @param more `phase`: where it is told what keeps the pod; `judge`: the error of what is wrong with this pod alone
 * @throws what `judge` gives, or what `failed` makes of it: the pod is gone, a container failed or cannot be started, or the
 * time is over
 */
export async function waitForPod(
  cluster: InfraCluster,
  { metadata: { name }, spec }: OneOffPod,
  { timeout, signal }: Patience,
  reached: (pod: Pod) => boolean,
  failed: Failed,
  more: { phase?: Phase; judge?(pod: Pod): Promise<Error | undefined> } = {},
): Promise<void> {
  const own = [...(spec.initContainers ?? []), ...spec.containers].map((container) => container.name);
  let hindrance = '';
  await waitFor({
    until: async () => {
      const pod = await cluster.get<Pod>(podKind, name);
      if (!pod) throw failed(`its pod ${name} was deleted by somebody else`);
      const wrong = await more.judge?.(pod);
      if (wrong) throw wrong;
      if (reached(pod)) return true;
      const problems = podProblems(pod, own);
      const ended = problems.find(({ kind, added }) => kind === 'ended' && !added);
      if (ended) throw failed(await lastWords(cluster, name, ended.container!));
      const { words, hopeless } = hindranceOf(pod, own);
      if (hopeless) throw failed(words);
      hindrance = words;
      return false;
    },
    now: () => hindrance,
    phase: more.phase,
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

/**
 * What keeps a pod from running, in a few words, and whether no waiting mends it. Pure.
 *
 * @param own names of the containers that k8sk8s put there
 */
export function hindranceOf(pod: Pod, own: readonly string[]): { words: string; hopeless: boolean } {
  const { phase, reason, message } = pod.status ?? {};
  if (phase === 'Failed' && reason)
    return { words: `its pod ended: ${[reason, message].filter(Boolean).join(': ')}`, hopeless: true };
  const [problem] = podProblems(pod, own);
  if (problem) return { words: describeProblem(problem), hopeless: problem.hopeless };
  return { words: `its pod is still ${phase ?? 'Pending'}`, hopeless: false };
}

async function lastWords(cluster: InfraCluster, pod: string, { name, state }: ContainerStatus): Promise<string> {
  const log = await cluster.log(pod, { container: name, tailLines: 8 }).catch(() => '');
  return `container ${name} ended with exit code ${state?.terminated?.exitCode}: ${lastLines(log) || 'it left no log'}`;
}

/** The end of what a program said: four lines, at most 600 characters. Pure. */
export function lastLines(text: string): string {
  return text.trim().split('\n').slice(-4).join('\n').slice(-600);
}
