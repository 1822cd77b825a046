import { infraIssuerHost } from '../base/infra-issuer.ts';
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

interface AuthorityRow {
  name: AuthorityName;
  commonName: string;
}

export interface LeafRow {
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
  { name: 'ca', commonName: 'kubernetes-ca' },
  { name: 'etcd-ca', commonName: 'etcd-ca' },
  { name: 'etcd-peer-ca', commonName: 'etcd-peer-ca' },
  { name: 'front-proxy-ca', commonName: 'front-proxy-ca' },
  { name: 'kubelet-serving-ca', commonName: 'kubelet-serving-ca' },
];

const client = { organizations: [] as string[], usages: ['clientAuth'] as Usage[], sans: () => [] as string[] };

const leafRows: LeafRow[] = [
  {
    name: 'apiserver',
    authority: 'ca',
    commonName: 'kube-apiserver',
    organizations: [],
    usages: ['serverAuth'],
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
  },
  { ...client, name: 'apiserver-etcd-client', authority: 'etcd-ca', commonName: 'kube-apiserver-etcd-client' },
  {
    ...client,
    name: 'apiserver-kubelet-client',
    authority: 'ca',
    commonName: 'kube-apiserver-kubelet-client',
    organizations: ['k8sk8s:kubelet-clients'],
    shownToWorkers: true,
  },
  { ...client, name: 'front-proxy-client', authority: 'front-proxy-ca', commonName: 'front-proxy-client' },
  { ...client, name: 'controller-manager', authority: 'ca', commonName: 'system:kube-controller-manager' },
  { ...client, name: 'scheduler', authority: 'ca', commonName: 'system:kube-scheduler' },
  // Not system:masters, which RBAC cannot take back: a ClusterRoleBinding makes this group an administrator.
  {
    ...client,
    name: 'admin',
    authority: 'ca',
    commonName: 'kubernetes-admin',
    organizations: ['k8sk8s:cluster-admins'],
  },
];

const gateRow: LeafRow = { ...client, name: 'egress', authority: 'ca', commonName: 'k8sk8s:egress' };

/** What the gate shows to the API server, for which it stands as the infra cluster's issuer. */
const infraIssuerRow: LeafRow = {
  name: 'infra-issuer',
  authority: 'ca',
  commonName: 'infra-issuer',
  organizations: [],
  usages: ['serverAuth'],
  sans: () => [infraIssuerHost],
};

/** What the hub shows to agents of workers that nobody can dial. */
const tunnelRow: LeafRow = {
  name: 'tunnel',
  authority: 'ca',
  commonName: 'tunnel-hub',
  organizations: [],
  usages: ['serverAuth'],
  shownToWorkers: true,
  sans: ({ tunnelHost }) => [tunnelHost!],
};

/** For what stands beside the API server; templates/hosted/{egress,konnectivity}.yaml grant the rights to its name. */
const egressRows: Record<'kubelet' | 'konnectivity' | 'none', LeafRow[]> = {
  kubelet: [gateRow],
  none: [gateRow],
  konnectivity: [
    { ...client, name: 'egress', authority: 'ca', commonName: 'system:konnectivity-server' },
    {
      name: 'konnectivity-server',
      authority: 'ca',
      commonName: 'konnectivity-server',
      organizations: [],
      usages: ['serverAuth'],
      sans: ({ host, konnectivityHost }) => [konnectivityHost ?? host],
    },
  ],
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
    { ...row, name: `etcd-${member}`, authority: 'etcd-ca' },
    { ...row, name: `etcd-${member}-peer`, authority: 'etcd-peer-ca' },
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
