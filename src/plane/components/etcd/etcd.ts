import { maximumMembers } from '../../../config/fields/etcd.ts';
import { mirrored } from '../../../config/images.ts';
import type { ClusterSpec } from '../../../config/schema.ts';
import { knownMinor, newest } from '../../../config/versions.ts';
import type { Service } from '../../../kube/objects.ts';
import { render, type Value } from '../../../manifests/render.ts';
import { memberService } from '../../addresses.ts';
import { claimName, dataVolume, podSelector } from '../../names.ts';
import { toComponent } from '../../policy-rules.ts';
import { withFiles } from '../../read-at-start.ts';
import { claimTemplate, databaseQuota, type Storage } from '../../storage.ts';
import { ownedBy, type PlaneComponent, type WorkloadContext } from '../component.ts';
import networkPolicy from './network-policy.yaml';
import service from './service.yaml';
import template from './statefulset.yaml';

const possibleMembers = Array.from({ length: maximumMembers }, (_, member) => member);

export const etcd: PlaneComponent<'etcd'> = {
  name: 'etcd',
  kind: 'StatefulSet',
  image: (spec) =>
    spec.etcdImage ?? mirrored(spec, `registry.k8s.io/etcd:${(knownMinor(spec.kubernetesVersion) ?? newest).etcd}`),
  // It keeps its own version: a new Kubernetes version alone must not replace its pod.
  version: (spec) => tagOf(etcd.image(spec)),
  replicas: ({ etcdMembers }) => etcdMembers,
  arguments: {
    by: 'etcdArgs',
    owned: {
      ...ownedBy(
        'name data-dir listen-client-urls advertise-client-urls listen-peer-urls initial-advertise-peer-urls initial-cluster initial-cluster-token initial-cluster-state',
      ),
      ...ownedBy(
        'client-cert-auth trusted-ca-file cert-file key-file peer-client-cert-auth peer-trusted-ca-file peer-cert-file peer-key-file peer-skip-client-san-verification listen-metrics-urls config-file',
      ),
    },
    featureGates: false,
  },
  profiles: {
    default: { args: [], env: {}, requests: { cpu: '25m', memory: '64Mi' }, limits: { cpu: '1', memory: '512Mi' } },
    lite: {
      args: [],
      env: { GOGC: '20', GOMAXPROCS: '1' },
      requests: { cpu: '15m', memory: '48Mi' },
      limits: { cpu: '1', memory: '512Mi' },
    },
  },
  workload: {
    template,
    values: (context) => ({
      ...memberValues(context),
      ...storageValues(context.planeId, context.storage),
    }),
    env: pace,
    spread: false,
    ignored: {
      // Only a member without data reads these.
      args: /^--initial-cluster(-state)?=/,
      // The other members need not share them.
      env: ['ETCD_HEARTBEAT_INTERVAL', 'ETCD_ELECTION_TIMEOUT'],
    },
  },
  secrets: [{ name: 'etcd', holds: (leaf) => /^etcd-\d+(-peer)?$/.test(leaf), trusted: ['etcd-ca', 'etcd-peer-ca'] }],
  // It reads its certificates at every handshake, and a new pod would lose an ephemeral plane's data.
  readsAtStart: (secrets) =>
    secrets
      .filter(({ metadata }) => metadata.name === 'etcd')
      .map((own) => withFiles(own, (file) => /-ca\.crt$/.test(file))),
  services: (planeId, spec, { members }) =>
    Array.from({ length: members }, (_, member) =>
      render(
        service,
        {
          name: memberService(member),
          ipFamilies: spec.ipFamilies && [spec.ipFamilies],
          selector: { ...podSelector(planeId, 'etcd'), 'statefulset.kubernetes.io/pod-name': `etcd-${member}` },
        },
        'etcd/service.yaml',
      ),
    ).flat() as Service[],
  kinds: [
    // The StatefulSet makes the claims.
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      names: possibleMembers.map(claimName),
      listed: true,
      holdsData: true,
    },
    { apiVersion: 'v1', kind: 'Service', names: possibleMembers.map(memberService), listed: true },
  ],
  policies: (planeId) =>
    render(
      networkPolicy,
      {
        etcd: podSelector(planeId, 'etcd'),
        apiserver: podSelector(planeId, 'kube-apiserver'),
        backup: podSelector(planeId, 'backup'),
      },
      'etcd/network-policy.yaml',
    ),
  egress: (planeId) => [toComponent(planeId, 'etcd', [2379, 2380])],
  trial: {
    needs: [],
    without:
      /^--(name|listen-|advertise-|initial-|client-cert-auth|trusted-ca-file|cert-file|key-file|peer-|tls-min-version|cipher-suites)/,
    instead: () => [
      '--listen-client-urls=http://127.0.0.1:2379',
      '--advertise-client-urls=http://127.0.0.1:2379',
      '--listen-peer-urls=http://127.0.0.1:2380',
      '--listen-metrics-urls=http://0.0.0.0:2381',
    ],
  },
  reachedAt: { port: () => 2379, byEverybody: false },
};

/** In place of members: read, and not found to be itself, by a member without data. */
const nobody = 'none-without-data=https://127.0.0.1:2380';

/** Members are known to each other by their services' addresses; the names lead to the same without DNS. */
function memberValues({ planeId, addresses, membership }: WorkloadContext): Record<string, Value> {
  const { pods, members, joining } = membership;
  const addressOf = (member: number) => addresses.etcdServiceIps[member]!;
  return {
    planeId,
    members: pods,
    initialCluster: members.map((member) => `etcd-${member}=https://${addressOf(member)}:2380`).join(',') || nobody,
    initialClusterState: joining ? 'existing' : 'new',
    hostAliases: Array.from({ length: pods }, (_, member) => ({
      ip: addressOf(member),
      hostnames: [`etcd-${member}.etcd`],
    })),
  };
}

function storageValues(planeId: string, storage: Storage): Record<string, Value> {
  return storage.kind === 'volume'
    ? {
        emptyData: undefined,
        claimTemplates: [claimTemplate(planeId, storage) as unknown as Value],
        quotaArgs: [`--quota-backend-bytes=${databaseQuota(storage)}`],
      }
    : { emptyData: { name: dataVolume, emptyDir: {} }, claimTemplates: undefined, quotaArgs: [] };
}

/**
 * How often etcd's members hear of their leader, and after how long without it they vote, in milliseconds. A member that is alone
 * elects itself in the same way when it starts, after a part of the second time that is left to chance: of 500 half as much as of
 * upstream's 1000. The second has to be five times the first at least, and beating every 50 would cost a millicore more.
 */
function pace({ profile, etcdMembers }: ClusterSpec): Record<string, string> {
  const times = etcdMembers === 1 ? [100, 500] : profile === 'lite' ? [300, 1500] : undefined;
  if (!times) return {};
  return { ETCD_HEARTBEAT_INTERVAL: String(times[0]), ETCD_ELECTION_TIMEOUT: String(times[1]) };
}

/** The tag of an image as a label value; `untagged` where it has none. */
function tagOf(image: string): string {
  return /:([\w][\w.-]{0,62})$/.exec(image.split('@')[0]!)?.[1]?.replace(/[._-]+$/, '') ?? 'untagged';
}
