import type { ContainerStatus, Event, Pod } from '../kube/objects.ts';

/** What ails a pod, or one of its containers, as the cluster tells it. */
export interface PodProblem {
  kind: 'unschedulable' | 'image-pull' | 'container-start' | 'crash-loop' | 'ended' | 'not-ready' | 'waiting';
  /** Absent where it is the pod as a whole. */
  container?: ContainerStatus;
  /** k8sk8s did not put the container into the pod: a policy or webhook of the infra cluster did. */
  added: boolean;
  /** The cluster's reason and message. */
  says: string;
  /** No waiting mends it. */
  hopeless: boolean;
}

/**
 * Reasons by which a kubelet says why a container does not start, and that no waiting mends
 * (https://github.com/kubernetes/kubernetes: pkg/kubelet/images/types.go, pkg/kubelet/kuberuntime/kuberuntime_container.go).
 */
const startReasons: Record<string, 'image-pull' | 'container-start'> = {
  ErrImagePull: 'image-pull',
  ImagePullBackOff: 'image-pull',
  InvalidImageName: 'image-pull',
  ErrImageNeverPull: 'image-pull',
  SignatureValidationFailed: 'image-pull',
  CreateContainerConfigError: 'container-start',
  CreateContainerError: 'container-start',
  RunContainerError: 'container-start',
};

const gravity: PodProblem['kind'][] = [
  'image-pull',
  'container-start',
  'crash-loop',
  'ended',
  'unschedulable',
  'not-ready',
  'waiting',
];

/** What there is to know of a pod's container of that name. */
export function containerStatus({ status }: Pod, name: string): ContainerStatus | undefined {
  return statusesOf({ status }).find((container) => container.name === name);
}

export function isRunning(pod: Pod, container: string): boolean {
  return containerStatus(pod, container)?.state?.running !== undefined;
}

export function hasSucceeded(pod: Pod, container: string): boolean {
  return containerStatus(pod, container)?.state?.terminated?.exitCode === 0;
}

/**
 * All that keeps a pod from being ready, the gravest first, and of the same kind what is k8sk8s's own first; nothing of a pod
 * that is ready or has done its work. Pure.
 *
 * @param own names of the containers that k8sk8s puts there
 */
export function podProblems(pod: Pod, own: readonly string[]): PodProblem[] {
  const { status } = pod;
  const problemOf = (container: ContainerStatus, prepares: boolean) =>
    containerProblem(container, !own.includes(container.name), prepares);
  const found = [
    ...(status?.initContainerStatuses ?? []).flatMap((container) => problemOf(container, true)),
    ...(status?.containerStatuses ?? []).flatMap((container) => problemOf(container, false)),
  ];
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False')
    found.push({
      kind: 'unschedulable',
      added: false,
      says: scheduled.message ?? 'the scheduler gives no detail',
      hopeless: false,
    });
  if (statusesOf(pod).length === 0 && found.length === 0)
    found.push({
      kind: 'waiting',
      added: false,
      says: `its pod is still ${status?.phase ?? 'Pending'}`,
      hopeless: false,
    });
  const rank = ({ kind, added }: PodProblem) => 2 * gravity.indexOf(kind) + Number(added);
  return found.sort((a, b) => rank(a) - rank(b));
}

/**
 * A problem in words that follow the name of a component. Pure.
 *
 * @param component whose pod it is; a container of another name is named
 * @param node what a node of its cluster is called
 */
export function describeProblem(
  { kind, container, added, says }: PodProblem,
  { component, node = 'infra node' }: { component?: string; node?: 'infra node' | 'worker' } = {},
): string {
  if (kind === 'unschedulable') return `no ${node} takes its pod: ${says}`;
  if (container === undefined) return says;
  if (added) return `container "${container.name}", which k8sk8s did not put into this pod: ${says}`;
  return component !== undefined && container.name !== component ? `${container.name}: ${says}` : says;
}

/** `exit code 137 (out of memory)`. */
export function describeExit({ exitCode, reason }: { exitCode: number; reason?: string }): string {
  return `exit code ${exitCode}${reason === 'OOMKilled' ? ' (out of memory)' : ''}`;
}

/** Why the pod of a workload or job could not even be made (quota, pod security, a webhook), by the newest event. Pure. */
export function refusalOf(owner: string, events: Event[]): string | undefined {
  return newestFirst(events).find(
    ({ reason, involvedObject }) => reason === 'FailedCreate' && makesPodsOf(involvedObject.name, owner),
  )?.message;
}

/** Whether that is the name of a workload, or of a ReplicaSet of that Deployment. */
export function makesPodsOf(name: string, workload: string): boolean {
  return name === workload || (name.startsWith(`${workload}-`) && /^[a-z0-9]+$/.test(name.slice(workload.length + 1)));
}

export function newestFirst(events: Event[]): Event[] {
  return [...events].sort((a, b) => timeOf(b).localeCompare(timeOf(a)));
}

/** RFC 3339. events.k8s.io fills in the one, core/v1 the other. */
export function timeOf(event: Event): string {
  return event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp ?? '';
}

/** With terminationMessagePolicy FallbackToLogsOnError the message is the end of the log: klog's last error tells more than its last line. */
function lastWords(message = ''): string {
  const lines = message.trim().split('\n');
  return (lines.findLast((line) => /^[EF]\d{4} /.test(line)) ?? lines.at(-1)!).slice(0, 300);
}

function statusesOf({ status }: Pick<Pod, 'status'>): ContainerStatus[] {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
}

/** @param prepares it is an init container: those that run are at work */
function containerProblem(container: ContainerStatus, added: boolean, prepares: boolean): PodProblem[] {
  const { ready, state = {}, lastState } = container;
  const { waiting, terminated, running } = state;
  const problem = (kind: PodProblem['kind'], says: string, hopeless = false) => [
    { kind, container, added, says, hopeless },
  ];
  const ended = terminated ?? lastState?.terminated;
  const last = lastWords(ended?.message);
  const end = ended && `it ended with ${describeExit(ended)}${last ? `: ${last}` : ''}`;
  const start = startReasons[waiting?.reason ?? ''];
  if (start) return problem(start, `${waiting?.reason}: ${waiting?.message ?? 'the kubelet gives no detail'}`, true);
  if (waiting?.reason === 'CrashLoopBackOff') return problem('crash-loop', `CrashLoopBackOff${end ? `: ${end}` : ''}`);
  if (terminated) return terminated.exitCode === 0 ? [] : problem('ended', end!);
  if (running && prepares && !ready) return problem('waiting', `its init container ${container.name} is at work`);
  if (running)
    return ready
      ? []
      : problem(
          'not-ready',
          end ? `it is starting again; before, ${end}` : 'it runs, and does not answer its probe yet',
        );
  const words = [waiting?.reason, waiting?.message].filter(Boolean).join(': ');
  return problem('waiting', words ? `its container waits (${words})` : 'its container is being started');
}
