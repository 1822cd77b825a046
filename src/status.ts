import { kubeletClientsBinding } from './child/assets.ts';
import { openPlane } from './hosted.ts';
import type { InfraCluster } from './kube/cluster.ts';
import { ApiError } from './kube/errors.ts';
import type { Event, KubeObject, Node, Pod } from './kube/objects.ts';
import { inspect } from './pki/inspect.ts';
import { planeSelector } from './plane/names.ts';
import { components } from './spec.ts';

interface ComponentStatus {
  name: string;
  ready: boolean;
  restarts: number;
  image: string;
  node: string;
  /** Why it is not ready, as the cluster says it. */
  problem?: string;
}

export interface PlaneStatus {
  namespace: string;
  plane: string;
  phase: string;
  host: string;
  server: string;
  workerServer: string;
  nodePort: number;
  version: string;
  components: ComponentStatus[];
  storage: { kind: 'ephemeral'; loses: string };
  certificates: { name: string; days: number }[];
  hosted: {
    answers: boolean;
    problem?: string;
    workers: { name: string; ready: boolean; version: string; address: string }[];
  };
  warnings: string[];
  limits: string[];
}

const limits = [
  'webhooks and aggregated APIs work on hostNetwork pods of the workers; those on pod addresses cannot be reached by the API server yet',
];

/** Everything about a plane that one screen can hold. */
export async function planeStatus(cluster: InfraCluster, now = new Date()): Promise<PlaneStatus> {
  const plane = await openPlane(cluster);
  const { record, addresses, bundle, spec } = plane;
  const hosted = await plane.connect();
  const [pods, events, workers] = await Promise.all([
    cluster.pods(planeSelector(record.planeId)),
    cluster.list<Event>({ apiVersion: 'v1', kind: 'Event' }),
    hostedStatus(hosted),
  ]);
  await hosted.close();
  const certificates = [...Object.entries(bundle.authorities), ...Object.entries(bundle.leaves)].map(
    ([name, { certificate }]) => ({
      name,
      days: Math.floor((inspect(certificate).notAfter.getTime() - now.getTime()) / 86_400_000),
    }),
  );
  return {
    namespace: cluster.namespace,
    plane: record.planeId,
    phase: record.phase,
    host: spec.host,
    server: addresses.publicServer,
    workerServer: addresses.workerServer,
    nodePort: addresses.nodePort,
    version: spec.kubernetesVersion,
    components: components.map((name) => componentStatus(name, pods.items)),
    storage: {
      kind: 'ephemeral',
      loses: 'etcd keeps its data in its pod: when that pod is replaced, all objects of the hosted cluster are lost',
    },
    certificates: certificates.sort((a, b) => a.days - b.days),
    hosted: workers,
    warnings: warningsOf(events.items, pods.items),
    limits,
  };
}

/** Exit code and headline both follow from this. */
export function problemsOf(status: PlaneStatus): string[] {
  return [
    ...status.components
      .filter(({ ready }) => !ready)
      .map(({ name, problem }) => `${name} is not ready${problem ? `: ${problem}` : ''}`),
    ...(status.hosted.problem ? [status.hosted.problem] : []),
    ...status.certificates
      .filter(({ days }) => days < 30)
      .map(
        ({ name, days }) =>
          `certificate ${name} ${days < 0 ? 'has expired' : `expires in ${days} days`}: run k8sk8s deploy again`,
      ),
  ];
}

function componentStatus(name: string, pods: Pod[]): ComponentStatus {
  const own = pods.filter(
    ({ metadata }) => metadata.labels?.['app.kubernetes.io/name'] === name && !metadata.deletionTimestamp,
  );
  const pod = own[0];
  const container = pod?.status?.containerStatuses?.[0];
  const waiting = container?.state?.waiting;
  const unschedulable = pod?.status?.conditions?.find(
    ({ type, status }) => type === 'PodScheduled' && status === 'False',
  );
  return {
    name,
    ready: own.length > 0 && own.every(({ status }) => status?.containerStatuses?.every(({ ready }) => ready) ?? false),
    restarts: own.reduce((sum, { status }) => sum + (status?.containerStatuses?.[0]?.restartCount ?? 0), 0),
    image: container?.image ?? pod?.spec.containers[0]?.image ?? '',
    node: pod?.spec.nodeName ?? '',
    problem: !pod
      ? 'it has no pod'
      : (unschedulable?.message ??
        (waiting ? [waiting.reason, waiting.message].filter(Boolean).join(': ') : undefined)),
  };
}

/** Asks the hosted cluster for its nodes, and whether it is still the one that deploy left. */
async function hostedStatus(
  hosted: Awaited<ReturnType<Awaited<ReturnType<typeof openPlane>>['connect']>>,
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
    const workers = nodes.items.map(({ metadata, status }) => ({
      name: metadata.name,
      ready: status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false,
      version: status?.nodeInfo?.kubeletVersion ?? '',
      address: status?.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? '',
    }));
    return {
      answers: true,
      workers,
      problem: binding
        ? undefined
        : "etcd lost its data (its pod was replaced): run k8sk8s deploy again, then restart the workers' kubelets",
    };
  } catch (error) {
    const words =
      error instanceof ApiError && error.status === 401
        ? 'it refuses the certificate of this plane'
        : error instanceof Error
          ? error.message
          : String(error);
    return { answers: false, problem: `the API does not answer: ${words}`, workers: [] };
  }
}

function warningsOf(events: Event[], pods: Pod[]): string[] {
  const names = new Set(pods.map(({ metadata }) => metadata.name));
  const when = (event: Event) => event.lastTimestamp ?? event.eventTime ?? '';
  return events
    .filter(({ type, involvedObject }) => type === 'Warning' && names.has(involvedObject.name))
    .sort((a, b) => when(b).localeCompare(when(a)))
    .slice(0, 5)
    .map(
      (event) =>
        `${when(event).slice(11, 19)} ${event.involvedObject.name}: ${event.reason}: ${(event.message ?? '').split('\n')[0]}`,
    );
}
