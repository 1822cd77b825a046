import { messageOf } from '../base/errors.ts';
import { components } from '../config/components.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { EtcdGateway } from '../etcd/gateway.ts';
import { kubeletClientsBinding } from '../hosted/addons.ts';
import { type WorkerStatus, workerStatus } from '../hosted/workers.ts';
import { ApiError, ConnectionError, describeConnectionError } from '../kube/errors.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ContainerStatus, Event, KubeObject, Node, Pod } from '../kube/objects.ts';
import { openPlane } from '../live/open.ts';
import { isReady } from '../live/pods.ts';
import { daysLeft, type PkiBundle, warnBeforeDays } from '../pki/certificates.ts';
import { inspect } from '../pki/inspect.ts';
import { planeSelector } from '../plane/names.ts';
import { replicasOf } from '../plane/policies.ts';
import { type NetworkFinding, type PlaneRecord, repairing } from '../plane/record.ts';
import { describeStorage, type Storage } from '../plane/storage.ts';

interface ComponentStatus {
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
}

interface Warning {
  /** RFC 3339. */
  time: string;
  object: string;
  reason: string;
  message: string;
}

export interface PlaneStatus {
  namespace: string;
  plane: string;
  phase: PlaneRecord['phase'];
  /** Since when it sleeps, RFC 3339. */
  asleep?: string;
  /** Since when keys that somebody may have read are being replaced, RFC 3339. */
  exposed?: string;
  /** A command of which the last step is to come: `etcd repair`. */
  finishing?: string;
  host: string;
  server: string;
  workerServer: string;
  nodePort: number;
  version: string;
  components: ComponentStatus[];
  storage: { kind: Storage['kind']; size?: string; storageClass?: string; name: string; loses: string };
  /** What etcd itself complains of: `NOSPACE`, `CORRUPT`; none too when it cannot be asked. */
  alarms: string[];
  certificates: { name: string; days: number }[];
  hosted: { answers: boolean; problem?: string; workers: WorkerStatus[] };
  warnings: Warning[];
  egress: { kind: ClusterSpec['egress']; how: string };
  /** Absent while nobody has tried. */
  network?: NetworkFinding;
  limits: string[];
}

/** How the API server reaches pods for webhooks, aggregated APIs, service and pod proxy. */
const egressWords: Record<ClusterSpec['egress'], string> = {
  kubelet: "the API server reaches pods through the kubelets' port-forward",
  konnectivity: 'the API server reaches nodes and pods through konnectivity agents on the workers',
  none: 'none: the API server reaches pods with hostNetwork alone',
};

const egressLimits: Record<ClusterSpec['egress'], string[]> = {
  kubelet: [
    "the API server reaches what a pod listens on at all addresses or at localhost, not what listens on the pod's address alone",
  ],
  konnectivity: [
    'without a Ready pod of daemonset kube-system/konnectivity-agent neither logs and exec nor webhooks and aggregated APIs work',
  ],
  none: [
    'webhooks, aggregated APIs, service and pod proxy work on hostNetwork pods of the workers; those on pod addresses cannot be reached (--egress kubelet reaches them)',
  ],
};

/** Everything about a plane that one screen can hold. @throws UserError `no-plane` or `plane-incomplete` */
export async function planeStatus(cluster: InfraCluster, now = new Date()): Promise<PlaneStatus> {
  const { record, addresses, bundle, spec, storage, connect } = await openPlane(cluster);
  const hosted = record.asleep ? undefined : await connect();
  try {
    const [pods, events, answer, alarms] = await Promise.all([
      cluster.pods(planeSelector(record.planeId)),
      cluster.list<Event>({ apiVersion: 'v1', kind: 'Event' }),
      hosted ? hostedStatus(hosted, cluster.namespace, record.phase, storage) : { answers: false, workers: [] },
      record.asleep ? [] : etcdAlarms(cluster, bundle),
    ]);
    const { signer } = bundle.authorities.ca!;
    const certificates = [
      ...Object.entries(bundle.authorities),
      ...(signer ? [['ca-signer', signer] as const] : []),
      ...Object.entries(bundle.leaves),
    ].map(([name, { certificate }]) => ({
      name,
      days: daysLeft(inspect(certificate), now),
    }));
    return {
      namespace: cluster.namespace,
      plane: record.planeId,
      phase: record.phase,
      asleep: record.asleep?.since,
      exposed: record.exposed?.since,
      finishing: record.finishing,
      host: spec.host,
      server: addresses.publicServer,
      workerServer: addresses.workerServer,
      nodePort: addresses.nodePort,
      version: spec.kubernetesVersion,
      components: components.map((name) => componentStatus(name, pods.items, events.items, replicasOf(spec, name))),
      storage: {
        ...storage,
        ...describeStorage(storage),
        ...(record.asleep?.snapshot && {
          loses: 'while the plane sleeps, its data lies in a snapshot in Secrets of the namespace',
        }),
      },
      alarms,
      certificates: certificates.sort((a, b) => a.days - b.days),
      hosted: answer,
      warnings: warningsOf(events.items, pods.items),
      egress: { kind: spec.egress, how: egressWords[spec.egress] },
      network: record.network,
      limits: [...egressLimits[spec.egress], ...components.flatMap((name) => crowded(name, pods.items))],
    };
  } finally {
    await hosted?.close();
  }
}

/** What keeps a plane from being healthy, each with what to do where that is known. Workers are not part of the plane. */
export function problemsOf(
  status: Pick<
    PlaneStatus,
    'namespace' | 'phase' | 'asleep' | 'exposed' | 'finishing' | 'components' | 'alarms' | 'hosted' | 'certificates'
  >,
): string[] {
  return [
    ...phaseProblems(status),
    ...(status.finishing === repairing
      ? [`its etcd is being repaired; if nobody is at it, run k8sk8s etcd repair -n ${status.namespace} again`]
      : []),
    ...(status.asleep ? awakeProblems(status) : componentProblems(status.components)),
    ...status.alarms.map((alarm) => alarmProblem(alarm, status.namespace)),
    ...(status.hosted.problem ? [status.hosted.problem] : []),
    ...(status.exposed
      ? [
          `not all that was exposed at ${status.exposed} is replaced: run k8sk8s certs rotate-exposed -n ${status.namespace} again`,
        ]
      : []),
    ...status.certificates
      .filter(({ name, days }) => days < warnBeforeDays(name))
      .map(
        ({ name, days }) =>
          `certificate ${name} ${days < 0 ? 'has expired' : `expires in ${days} days`}: run k8sk8s deploy -n ${status.namespace} again${name === 'ca-signer' ? ' with --seal-file; kubelets and users lose access with it' : ''}`,
      ),
  ];
}

function alarmProblem(alarm: string, namespace: string): string {
  return alarm === 'NOSPACE'
    ? `etcd is full (alarm NOSPACE) and refuses writes: delete what is not needed, then run k8sk8s etcd defrag -n ${namespace}`
    : `etcd raises the alarm ${alarm}: look at k8sk8s etcd members -n ${namespace}`;
}

function phaseProblems({ phase, namespace }: Pick<PlaneStatus, 'phase' | 'namespace'>): string[] {
  if (phase === 'available') return [];
  return phase === 'restoring'
    ? [`its restore is not finished: wait for it, or run k8sk8s restore FILE -n ${namespace} again`]
    : [`its first deploy is not finished: wait for it, or run k8sk8s deploy -n ${namespace} again`];
}

function componentProblems(of: ComponentStatus[]): string[] {
  return of
    .filter(({ ready }) => !ready)
    .map(({ name, problem }) => `${name} is not ready${problem ? `: ${problem}` : ''}`);
}

/** Of a plane that sleeps nothing runs, as it should be. */
function awakeProblems({ components, namespace }: Pick<PlaneStatus, 'components' | 'namespace'>): string[] {
  const names = components.filter(({ since }) => since !== undefined).map(({ name }) => name);
  return names.length === 0
    ? []
    : [
        `it is to sleep, but has pods of ${names.join(', ')}: run k8sk8s wake -n ${namespace} or k8sk8s sleep -n ${namespace}, whichever was interrupted`,
      ];
}

/** An alarm is the whole cluster's, so one member tells them all. */
async function etcdAlarms(cluster: InfraCluster, bundle: PkiBundle): Promise<string[]> {
  try {
    return (await EtcdGateway.ofPod(cluster, bundle, 'etcd-0').status(AbortSignal.timeout(2000))).alarms;
  } catch {
    // Why it does not answer is told by its pod.
    return [];
  }
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
  const missing = own.length < wanted && own.every(isReady);
  return {
    name,
    ready,
    restarts: own
      .flatMap(({ status }) => status?.containerStatuses ?? [])
      .reduce((sum, { restartCount }) => sum + restartCount, 0),
    since: pod?.metadata.creationTimestamp,
    image:
      pod?.status?.containerStatuses?.find((container) => container.name === name)?.image ||
      (pod?.spec.containers[0]?.image ?? ''),
    node: [...new Set(own.map(({ spec }) => spec.nodeName ?? ''))].filter(Boolean).sort().join(', '),
    count: `${count}/${wanted}`,
    problem: ready
      ? undefined
      : pod && !missing
        ? podProblem(name, pod)
        : (refusal(name, events) ?? (wanted === 1 ? 'it has no pod' : `it has ${own.length} of ${wanted} pods`)),
  };
}

/** Pods of one component on one node die together. Pure. */
function crowded(name: string, pods: Pod[]): string[] {
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

function podProblem(component: string, { metadata, status }: Pod): string {
  const unscheduled = status?.conditions?.find(
    ({ type, status: value }) => type === 'PodScheduled' && value === 'False',
  );
  if (unscheduled) return unscheduled.message ?? 'no infra node takes its pod';
  const container = status?.containerStatuses?.find(({ ready }) => !ready);
  const problem = containerProblem(metadata.namespace ?? '', container);
  return container && container.name !== component ? `${container.name}: ${problem}` : problem;
}

function containerProblem(namespace: string, { name, state, lastState }: Partial<ContainerStatus> = {}): string {
  const ended = state?.terminated ?? lastState?.terminated;
  const end =
    ended && `it ended with exit code ${ended.exitCode}${ended.reason === 'OOMKilled' ? ' (out of memory)' : ''}`;
  if (state?.waiting && ended)
    return `${state.waiting.reason ?? 'it waits'}: ${end}; its last words: k8sk8s logs -n ${namespace} --previous ${name}`;
  if (state?.waiting) return [state.waiting.reason, state.waiting.message].filter(Boolean).join(': ');
  if (state?.running)
    return end ? `it is starting again; before, ${end}` : 'it runs, and does not answer its probe yet';
  return end ?? 'its pod is being started';
}

/** Why a component's pod could not even be made: quota, pod security, a webhook. */
function refusal(name: string, events: Event[]): string | undefined {
  const owner = new RegExp(`^${name}(-[a-z0-9]+)?$`);
  return newestFirst(events).find(
    ({ reason, involvedObject }) => reason === 'FailedCreate' && owner.test(involvedObject.name),
  )?.message;
}

/** Asks the hosted cluster for its nodes, and whether it is still the one that deploy left. */
async function hostedStatus(
  hosted: HostedCluster,
  namespace: string,
  phase: PlaneRecord['phase'],
  storage: Storage,
): Promise<PlaneStatus['hosted']> {
  try {
    const { ready, failing } = await hosted.ready(3000);
    if (!ready) return { answers: false, problem: `the API server is not ready: ${failing.join(', ')}`, workers: [] };
    const [nodes, binding] = await Promise.all([
      hosted.list<Node>({ apiVersion: 'v1', kind: 'Node' }),
      hosted.get<KubeObject>(
        { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding' },
        kubeletClientsBinding,
      ),
    ]);
    return {
      answers: true,
      workers: nodes.items.map(workerStatus),
      // A first deploy has not made the binding yet, so before its end nothing follows from its absence.
      problem:
        binding || phase !== 'available'
          ? undefined
          : `etcd lost its data (its ${storage.kind === 'volume' ? 'volume' : 'pod'} was replaced): run k8sk8s deploy -n ${namespace} again, then restart the workers' kubelets`,
    };
  } catch (error) {
    return { answers: false, problem: `the API does not answer: ${noAnswerWords(error)}`, workers: [] };
  }
}

function noAnswerWords(error: unknown): string {
  if (error instanceof ConnectionError) return describeConnectionError(error);
  if (error instanceof ApiError && error.status === 401) return 'it refuses the certificate of this plane';
  return error instanceof ApiError ? `${error.status} ${messageOf(error)}`.trim() : messageOf(error);
}

/** The last five warnings about pods that the plane has now, but for those of a start that went well. Pure. */
export function warningsOf(events: Event[], pods: Pod[]): Warning[] {
  const starts = new Map(pods.map((pod) => [pod.metadata.name, startOf(pod)]));
  const counts = (event: Event) => {
    const start = starts.get(event.involvedObject.name);
    return event.type === 'Warning' && start !== undefined && timeOf(event) > start;
  };
  return newestFirst(events)
    .filter(counts)
    .slice(0, 5)
    .map((event) => ({
      time: timeOf(event),
      object: event.involvedObject.name,
      reason: event.reason ?? '',
      message: (event.message ?? '').split('\n')[0] ?? '',
    }));
}

/** When a pod that never restarted became ready: until then its probes failed because it was starting. Else before all time. */
function startOf({ status }: Pod): string {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  const restarted = status?.containerStatuses?.some(({ restartCount }) => restartCount > 0);
  return ready?.status === 'True' && !restarted ? (ready.lastTransitionTime ?? '') : '';
}

function newestFirst(events: Event[]): Event[] {
  return [...events].sort((a, b) => timeOf(b).localeCompare(timeOf(a)));
}

/** events.k8s.io fills in the one, core/v1 the other. */
function timeOf(event: Event): string {
  return event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp ?? '';
}
