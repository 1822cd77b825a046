import { infraIssuerHost } from '../base/infra-issuer.ts';
import { command, option, type Words, words } from '../base/words.ts';
import { canonicalIp } from './addresses.ts';
import type { LeafRequest, Usage } from './issue.ts';

/** What the names in a plane's certificates depend on. Addresses are IPv4 or IPv6, without port or prefix length. */
export interface CertificateContext {
  /** The host name or IP that people dial (--host). */
  host: string;
  namespace: string;
  /** Of the hosted cluster, `cluster.local` for example. */
  dnsDomain: string;
  /** The hosted cluster's first service address: default/kubernetes in it. */
  firstServiceIp: string;
  /** Cluster IP, in the infra cluster, of the service apiserver. */
  apiserverServiceIp: string;
  /** The host name or IP that workers dial (--worker-endpoint). */
  workerEndpointHost: string;
  /** Names and addresses from --san. */
  extraSans: string[];
  /** Cluster IPs of the services etcd0, etcd1, …: one a member, in that order. */
  etcdServiceIps: string[];
  /** By which way the API server reaches the hosted cluster; it has no certificate for any when left out. */
  egress?: 'kubelet' | 'konnectivity' | 'none';
  /** What konnectivity's agents on the workers dial. */
  konnectivityHost?: string;
  /** The name that agents of workers dial (--tunnel-host). */
  tunnelHost?: string;
  /** The gate stands for the infra cluster's issuer of tokens (--trust-infra). */
  trustsInfra?: boolean;
}

export type AuthorityName = 'ca' | 'etcd-ca' | 'etcd-peer-ca' | 'front-proxy-ca' | 'kubelet-serving-ca';

/** What a certificate is for, in words for people. */
export interface Purpose {
  usedFor: string;
  /** What happens when it expires. */
  atItsEnd: Words;
}

interface AuthorityRow extends Purpose {
  name: AuthorityName;
  commonName: string;
}

export interface LeafRow extends Purpose {
  name: string;
  authority: AuthorityName;
  commonName: string;
  organizations: string[];
  usages: Usage[];
  /** The API server shows it to kubelets and clients, which have to trust its CA before. */
  shownToWorkers?: true;
  /** DNS names and IP addresses, mixed; doubles are allowed. */
  sans(context: CertificateContext): string[];
}

/** Common names are distinct and contain the namespace, so that the error of a TLS client says which CA it met. */
export const authorityRows: AuthorityRow[] = [
  {
    name: 'ca',
    commonName: 'kubernetes-ca',
    usedFor: 'signs clients and the API server; workers and kubeconfigs trust it',
    atItsEnd: 'the whole cluster stops',
  },
  {
    name: 'etcd-ca',
    commonName: 'etcd-ca',
    usedFor: 'signs etcd and its clients',
    atItsEnd: 'the API server loses etcd, the whole cluster stops',
  },
  {
    name: 'etcd-peer-ca',
    commonName: 'etcd-peer-ca',
    usedFor: 'signs etcd members towards each other',
    atItsEnd: 'several members lose each other',
  },
  {
    name: 'front-proxy-ca',
    commonName: 'front-proxy-ca',
    usedFor: 'signs the API server towards aggregated APIs',
    atItsEnd: 'aggregated APIs refuse the API server',
  },
  {
    name: 'kubelet-serving-ca',
    commonName: 'kubelet-serving-ca',
    usedFor: "signs kubelets' serving certificates",
    atItsEnd: 'logs, exec, port-forward and metrics stop',
  },
];

/** Signs in place of `ca` where that is sealed (sealing.ts): no row, since only a sealed plane has it. */
const caSigner: Purpose = {
  usedFor: 'signs kubelets and users in place of the sealed ca',
  atItsEnd: words`workers and users lose access: renew it with ${command('deploy', undefined, option('sealFile'))}`,
};

const client = { organizations: [] as string[], usages: ['clientAuth'] as Usage[], sans: () => [] as string[] };
const server = { organizations: [] as string[], usages: ['serverAuth'] as Usage[] };

const leafRows: LeafRow[] = [
  {
    ...server,
    name: 'apiserver',
    authority: 'ca',
    commonName: 'kube-apiserver',
    shownToWorkers: true,
    sans: (context) => [
      context.host,
      ...context.extraSans,
      context.workerEndpointHost,
      ...['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', `kubernetes.default.svc.${context.dnsDomain}`],
      ...serviceNames('apiserver', context.namespace),
      'localhost',
      ...[context.firstServiceIp, context.apiserverServiceIp, '127.0.0.1'],
    ],
    usedFor: 'what the API server shows to everybody',
    atItsEnd: 'kubectl, workers and pods refuse the API server',
  },
  {
    ...client,
    name: 'apiserver-etcd-client',
    authority: 'etcd-ca',
    commonName: 'kube-apiserver-etcd-client',
    usedFor: 'the API server towards etcd',
    atItsEnd: 'the API server loses etcd and stops',
  },
  {
    ...client,
    name: 'apiserver-kubelet-client',
    authority: 'ca',
    commonName: 'kube-apiserver-kubelet-client',
    organizations: ['k8sk8s:kubelet-clients'],
    shownToWorkers: true,
    usedFor: 'the API server towards kubelets',
    atItsEnd: 'logs, exec, port-forward and metrics stop',
  },
  {
    ...client,
    name: 'front-proxy-client',
    authority: 'front-proxy-ca',
    commonName: 'front-proxy-client',
    usedFor: 'the API server towards aggregated APIs',
    atItsEnd: 'aggregated APIs refuse the API server',
  },
  {
    ...client,
    name: 'controller-manager',
    authority: 'ca',
    commonName: 'system:kube-controller-manager',
    usedFor: 'the controller-manager towards the API server',
    atItsEnd: 'nothing is created, repaired or deleted any more',
  },
  {
    ...client,
    name: 'scheduler',
    authority: 'ca',
    commonName: 'system:kube-scheduler',
    usedFor: 'the scheduler towards the API server',
    atItsEnd: 'new pods get no node',
  },
  // Not system:masters, which RBAC cannot take back: a ClusterRoleBinding makes this group an administrator.
  {
    ...client,
    name: 'admin',
    authority: 'ca',
    commonName: 'kubernetes-admin',
    organizations: ['k8sk8s:cluster-admins'],
    usedFor: 'the administrator of tls/kubeconfig',
    atItsEnd: 'kubectl with that file is refused',
  },
];

/** One of the two stands beside the API server; src/hosted/addons/{gate,konnectivity}.yaml grant the rights to its name. */
const egressRow = (commonName: string): LeafRow => ({
  ...client,
  name: 'egress',
  authority: 'ca',
  commonName,
  usedFor: 'the gate beside the API server, or the konnectivity server, towards the API server',
  atItsEnd: 'webhooks and aggregated APIs on pod addresses stop',
});

const konnectivityRow: LeafRow = {
  ...server,
  name: 'konnectivity-server',
  authority: 'ca',
  commonName: 'konnectivity-server',
  sans: ({ host, konnectivityHost }) => [konnectivityHost ?? host],
  usedFor: 'what the konnectivity server shows to its agents',
  atItsEnd: 'no agent connects; logs, exec, webhooks and aggregated APIs stop',
};

/** For what stands beside the API server, by the way that it opens into the hosted cluster. */
const egressRows: Record<'kubelet' | 'konnectivity' | 'none', LeafRow[]> = {
  kubelet: [egressRow('k8sk8s:egress')],
  none: [egressRow('k8sk8s:egress')],
  konnectivity: [egressRow('system:konnectivity-server'), konnectivityRow],
};

const infraIssuerRow: LeafRow = {
  ...server,
  name: 'infra-issuer',
  authority: 'ca',
  commonName: 'infra-issuer',
  sans: () => [infraIssuerHost],
  usedFor: "what the gate shows to the API server as the infra cluster's issuer of tokens",
  atItsEnd: 'service accounts of the infra cluster are refused',
};

const tunnelRow: LeafRow = {
  ...server,
  name: 'tunnel',
  authority: 'ca',
  commonName: 'tunnel-hub',
  shownToWorkers: true,
  sans: ({ tunnelHost }) => [tunnelHost!],
  usedFor: 'what the hub of the tunnels shows to agents on the workers',
  atItsEnd: 'workers that nobody can dial lose logs, exec and webhooks',
};

/** Members dial each other by service IP; their server certificate is also their gateway's client certificate. */
function memberRows(member: number): LeafRow[] {
  const row = {
    commonName: `etcd-${member}`,
    organizations: [],
    usages: ['serverAuth', 'clientAuth'] as Usage[],
    sans: (context: CertificateContext) => [
      `etcd-${member}`,
      `etcd-${member}.etcd`,
      ...serviceNames(`etcd${member}`, context.namespace),
      'localhost',
      '127.0.0.1',
      context.etcdServiceIps[member]!,
    ],
  };
  return [
    {
      ...row,
      name: `etcd-${member}`,
      authority: 'etcd-ca',
      usedFor: `etcd member ${member} towards API servers`,
      atItsEnd: 'API servers refuse that member; with the last one the whole cluster stops',
    },
    {
      ...row,
      name: `etcd-${member}-peer`,
      authority: 'etcd-peer-ca',
      usedFor: `etcd member ${member} towards the others`,
      atItsEnd: 'the other members refuse it',
    },
  ];
}

function serviceNames(service: string, namespace: string): string[] {
  return [service, `${service}.${namespace}`, `${service}.${namespace}.svc`];
}

/** The rows of all leaf certificates of a plane, which has one etcd member for each service address in `context`. */
export function leafRowsFor(context: CertificateContext): LeafRow[] {
  return [
    ...leafRows,
    ...(context.egress ? egressRows[context.egress] : []),
    ...(context.trustsInfra ? [infraIssuerRow] : []),
    ...(context.tunnelHost !== undefined ? [tunnelRow] : []),
    ...context.etcdServiceIps.flatMap((_, member) => memberRows(member)),
  ];
}

/** The request for a row's certificate, with names and addresses apart, each in its canonical spelling. */
export function leafRequest(row: LeafRow, context: CertificateContext): LeafRequest {
  const sans = row.sans(context);
  const addresses = sans.map(canonicalIp).filter((address) => address !== undefined);
  // A trailing dot is DNS notation; certificates do without, and clients compare without.
  const names = sans
    .filter((name) => canonicalIp(name) === undefined)
    .map((name) => name.toLowerCase().replace(/\.$/, ''));
  return {
    commonName: row.commonName,
    organizations: row.organizations,
    usages: row.usages,
    dnsNames: [...new Set(names)],
    ipAddresses: [...new Set(addresses)],
  };
}

/** What a certificate is for, by its name; undefined for one that no plane has. */
export function purposeOf(name: string): Purpose | undefined {
  const [, replaced, which] = /^(.+)-(next|previous)$/.exec(name) ?? [];
  if (which !== undefined && !authorityRows.some((row) => row.name === replaced)) return undefined;
  if (which === 'next') return { usedFor: `trusted, will sign in place of ${replaced}`, atItsEnd: 'it never signs' };
  if (which === 'previous')
    return {
      usedFor: `still trusted beside ${replaced}`,
      atItsEnd: words`what it signed is refused: ${command('certs rotate-ca')} removes it`,
    };
  if (name === 'ca-signer') return caSigner;
  const [, member] = /^etcd-(\d+)(?:-peer)?$/.exec(name) ?? [];
  const rows = [
    ...authorityRows,
    ...leafRows,
    ...Object.values(egressRows).flat(),
    infraIssuerRow,
    tunnelRow,
    ...(member === undefined ? [] : memberRows(Number(member))),
  ];
  const found = rows.find((row) => row.name === name);
  return found && { usedFor: found.usedFor, atItsEnd: found.atItsEnd };
}
