import { type Words, words } from '../../base/words.ts';
import { field } from '../../config/flags.ts';
import { hostedControlPlane, hostedControlPlaneName } from '../../config/hosted-control-plane.ts';
import { infraAudience } from '../../config/infra-identity.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { EtcdGateway } from '../../etcd/gateway.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { Event, KubeObject } from '../../kube/objects.ts';
import { type Lifetime, lifetimeOf, readLifetimeJob } from '../../live/lifetime.ts';
import { type FollowerReport, LogStore } from '../../live/log-store.ts';
import { openPlane } from '../../live/open.ts';
import type { PkiBundle } from '../../pki/certificates.ts';
import { type Remaining, remainingDays } from '../../pki/near-end.ts';
import { logStorageOf } from '../../plane/beside/log-store/log-store.ts';
import { wantedBeside } from '../../plane/beside/lookup.ts';
import { componentNames, replicasOf } from '../../plane/components/lookup.ts';
import { planeSelector } from '../../plane/names.ts';
import type { NetworkFinding, PlaneRecord, Unfinished } from '../../plane/record.ts';
import { describeStorage, type Storage } from '../../plane/storage.ts';
import { type ComponentStatus, componentStatus, podsOnOneNode } from './component-status.ts';
import { type HostedStatus, hostedStatus } from './hosted-status.ts';
import { type BalancerStatus, balancerStatus } from './load-balancer.ts';
import { type Warning, warningsOf } from './warnings.ts';

export interface PlaneStatus {
  namespace: string;
  plane: string;
  phase: PlaneRecord['phase'];
  /** Since when it sleeps, RFC 3339. */
  asleep?: string;
  /** Present where it falls asleep when nobody uses it: when that will be, RFC 3339. */
  sleepsAt?: string;
  /** Present where it ends by itself. */
  lifetime?: Lifetime;
  /** Since when keys that somebody may have read are being replaced, RFC 3339. */
  exposed?: string;
  /** A command of which the last step is to come: `etcd repair`. */
  unfinished: (keyof Unfinished)[];
  host: string;
  server: string;
  workerServer: string;
  /** Names that the plane had before, at which it still answers. */
  earlierHosts: string[];
  /** Absent where the plane has none. */
  balancer?: BalancerStatus;
  /** Absent where the plane takes none. */
  nodePort?: number;
  version: string;
  components: ComponentStatus[];
  /** Absent where no worker is a pod; by its `statusName`, as all that stands beside the plane. */
  workerPods?: ComponentStatus;
  /** Absent where the plane keeps no logs. */
  logs?: LogsStatus;
  storage: { kind: Storage['kind']; size?: string; storageClass?: string; name: string; loses: string };
  /** What etcd itself complains of: `NOSPACE`, `CORRUPT`; none too when it cannot be asked. */
  alarms: string[];
  certificates: Remaining[];
  hosted: HostedStatus;
  warnings: Warning[];
  egress: { kind: ClusterSpec['egress']; how: string };
  /** Absent where no service account of the infra cluster is let in: of which namespaces, and whom their tokens have to be made for. */
  trustInfra?: { namespaces: string[]; audience: string };
  /** Absent while nobody has tried. */
  network?: NetworkFinding;
  limits: Words[];
}

/** What keeps the plane's logs. */
export interface LogsStatus extends ComponentStatus {
  /** How long lines are kept, `7d`. */
  kept: string;
  where: Storage;
  /** Absent where it cannot be asked. */
  report?: FollowerReport;
}

/** How the API server reaches pods for webhooks, aggregated APIs, service and pod proxy. */
const egressWords: Record<ClusterSpec['egress'], string> = {
  kubelet: "the API server reaches pods through the gate and the kubelets' port-forward",
  konnectivity: 'the API server reaches nodes and pods through konnectivity agents on the workers',
  none: 'none: the API server reaches kubelets and pods with hostNetwork alone, through the gate',
};

function egressHow({ egress, tunnelHost }: ClusterSpec): string {
  return `${egressWords[egress]}${tunnelHost === undefined ? '' : `; kubelets by the tunnels that workers open at ${tunnelHost}, where they have one`}`;
}

const egressLimits: Record<ClusterSpec['egress'], Words[]> = {
  kubelet: [
    "the API server reaches what a pod listens on at all addresses or at localhost, not what listens on the pod's address alone",
  ],
  konnectivity: [
    'without a Ready pod of daemonset kube-system/konnectivity-agent neither logs and exec nor webhooks and aggregated APIs work',
  ],
  none: [
    words`webhooks, aggregated APIs, service and pod proxy work on hostNetwork pods of the workers; those on pod addresses cannot be reached (${field('egress', 'kubelet')} reaches them)`,
  ],
};

/** Everything about a plane that one screen can hold. @throws UserError `no-plane` or `plane-incomplete` */
export async function planeStatus(cluster: InfraCluster, now = new Date()): Promise<PlaneStatus> {
  const [plane, job, sleepsAt] = await Promise.all([openPlane(cluster), readLifetimeJob(cluster), sleepOf(cluster)]);
  const { record, addresses, bundle, spec, storage, connect } = plane;
  const hosted = record.asleep ? undefined : await connect();
  try {
    const [pods, events, answer, alarms, logs] = await Promise.all([
      cluster.pods(planeSelector(record.planeId)),
      cluster.list<Event>({ apiVersion: 'v1', kind: 'Event' }),
      hosted ? hostedStatus({ cluster, hosted, now }, plane) : { answers: false, workers: [], lacks: [] },
      record.asleep ? [] : etcdAlarms(cluster, bundle),
      record.asleep || !spec.logs ? undefined : followerReport(cluster, record),
    ]);
    return {
      namespace: cluster.namespace,
      plane: record.planeId,
      phase: record.phase,
      asleep: record.asleep?.since,
      ...(sleepsAt !== undefined && !record.asleep && { sleepsAt }),
      lifetime: lifetimeOf(job, now),
      exposed: record.exposed?.since,
      unfinished: Object.keys(record.unfinished ?? {}) as (keyof Unfinished)[],
      host: spec.host,
      server: addresses.publicServer,
      workerServer: addresses.workerServer,
      earlierHosts: addresses.earlierHosts,
      balancer: record.phase === 'available' ? await balancerStatus(cluster, spec, pods.items) : undefined,
      ...(spec.allocateNodePorts && { nodePort: addresses.nodePort }),
      version: spec.kubernetesVersion,
      components: componentNames.map((name) => componentStatus(name, pods.items, events.items, replicasOf(spec, name))),
      ...Object.fromEntries(
        wantedBeside(spec).map(({ name, statusName, replicas }) => [
          statusName,
          {
            ...componentStatus(name, pods.items, events.items, replicas(spec)),
            ...(statusName === 'logs' && {
              kept: spec.logsRetention,
              where: logStorageOf(spec, storage),
              report: logs,
            }),
          },
        ]),
      ),
      storage: {
        ...storage,
        ...describeStorage(storage),
        ...(record.asleep?.snapshot && {
          loses: 'while the plane sleeps, its data lies in a snapshot in Secrets of the namespace',
        }),
      },
      alarms,
      certificates: remainingDays(bundle, now),
      hosted: answer,
      warnings: warningsOf(events.items, pods.items),
      egress: { kind: spec.egress, how: egressHow(spec) },
      ...(spec.trustInfra.length > 0 && {
        trustInfra: { namespaces: spec.trustInfra, audience: infraAudience(record.planeId) },
      }),
      network: record.network,
      limits: [...egressLimits[spec.egress], ...componentNames.flatMap((name) => podsOnOneNode(name, pods.items))],
    };
  } finally {
    await hosted?.close();
  }
}

/** What the operator has written into the plane's object; nothing for who may not read it. */
async function sleepOf(cluster: InfraCluster): Promise<string | undefined> {
  const object = await cluster
    .get<KubeObject & { status?: { sleepsAt?: string } }>(hostedControlPlane, hostedControlPlaneName)
    .catch(() => undefined);
  return object?.status?.sleepsAt;
}

/** What the follower says of itself; undefined where it cannot be asked, for which its pod tells the cause. */
async function followerReport(cluster: InfraCluster, record: PlaneRecord): Promise<FollowerReport | undefined> {
  try {
    return await (await LogStore.of(cluster, record)).report(AbortSignal.timeout(2000));
  } catch {
    return undefined;
  }
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
