import type { Event, Pod } from '../../kube/objects.ts';
import { containerStatus, describeProblem, podProblems, refusalOf } from '../../live/pod-problems.ts';
import { isReady } from '../../live/pods.ts';
import { imageOf } from '../../live/seen-pods.ts';
import { containersOf } from '../../plane/components/lookup.ts';

export interface ComponentStatus {
  name: string;
  ready: boolean;
  restarts: number;
  /** When the pod was made, RFC 3339. */
  since?: string;
  image: string;
  /** Of all its pods, comma-separated. */
  node: string;
  /** Pods that are ready, of those that are wanted: `2/3`. */
  count: string;
  /** Why it is not ready, as the cluster says it. */
  problem?: string;
  /** Container that has ended, and whose last words its log of before has. */
  ended?: string;
}

/** One component, told by its pods; a pod that has ended (evicted, say) stays in the list and does not count. Pure. */
export function componentStatus(name: string, pods: Pod[], events: Event[], wanted = 1): ComponentStatus {
  const own = pods.filter(
    ({ metadata, status }) =>
      metadata.labels?.['app.kubernetes.io/name'] === name &&
      !metadata.deletionTimestamp &&
      status?.phase !== 'Failed' &&
      status?.phase !== 'Succeeded',
  );
  const pod = own.find((each) => !isReady(each)) ?? own[0];
  const count = own.filter(isReady).length;
  const ready = own.length >= wanted && count === own.length;
  return {
    name,
    ready,
    restarts: own
      .flatMap((each) => containersOf(name).map((container) => containerStatus(each, container)?.restartCount ?? 0))
      .reduce((sum, restarts) => sum + restarts, 0),
    since: pod?.metadata.creationTimestamp,
    image: (pod && (containerStatus(pod, name)?.image || imageOf(pod, name))) ?? '',
    node: [...new Set(own.map(({ spec }) => spec.nodeName ?? ''))].filter(Boolean).sort().join(', '),
    count: `${count}/${wanted}`,
    ...(!ready && whyNotReady(name, pod, own, events, wanted)),
  };
}

function whyNotReady(
  name: string,
  pod: Pod | undefined,
  own: Pod[],
  events: Event[],
  wanted: number,
): Pick<ComponentStatus, 'problem' | 'ended'> {
  if (!pod || own.every(isReady))
    return {
      problem: refusalOf(name, events) ?? (wanted === 1 ? 'it has no pod' : `it has ${own.length} of ${wanted} pods`),
    };
  const [problem] = podProblems(pod, containersOf(name));
  return {
    problem: problem ? describeProblem(problem, { component: name }) : 'its pod is not ready',
    ended: problem?.container?.state?.waiting && problem.container.lastState?.terminated && problem.container.name,
  };
}

/** Pods of one component on one node die together. Pure. */
export function podsOnOneNode(name: string, pods: Pod[]): string[] {
  const byNode = new Map<string, number>();
  for (const { metadata, spec } of pods)
    if (metadata.labels?.['app.kubernetes.io/name'] === name && !metadata.deletionTimestamp && spec.nodeName)
      byNode.set(spec.nodeName, (byNode.get(spec.nodeName) ?? 0) + 1);
  return [...byNode]
    .filter(([, count]) => count > 1)
    .map(
      ([node, count]) =>
        `${count} pods of ${name} are on infra node ${node}, and are lost together with it: the infra cluster has too few nodes for them`,
    );
}
