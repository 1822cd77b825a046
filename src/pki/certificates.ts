import { UserError } from '../errors.ts';
import { canonicalIp } from './addresses.ts';
import { type CertificateFacts, inspect, isKeyPair, matches, signedBy } from './inspect.ts';
import {
  type Credential,
  createAuthority,
  createKeyPair,
  issueLeaf,
  type KeyType,
  type LeafRequest,
  type Usage,
} from './issue.ts';

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
  /** Where workers' pods find the API server with --in-cluster loopback. */
  loopbackAddress?: string;
  /** Cluster IPs of the services etcd0, etcd1, …: one a member, in that order. */
  etcdServiceIps: string[];
}

export interface PkiBundle {
  authorities: Record<string, Credential>;
  leaves: Record<string, Credential>;
  /** PEM: SPKI and PKCS#8. Both empty when there are none yet. */
  serviceAccount: { publicKey: string; privateKey: string };
}

export interface EnsureOptions {
  /** For what is issued now; what is kept keeps its type. */
  keyType: KeyType;
  now?: Date;
}

export interface EnsuredCertificates {
  bundle: PkiBundle;
  /** Names of authorities and leaves, and `service-account`. */
  issued: string[];
  kept: string[];
}

type AuthorityName = 'ca' | 'etcd-ca' | 'etcd-peer-ca' | 'front-proxy-ca' | 'kubelet-serving-ca';

interface AuthorityRow {
  name: AuthorityName;
  commonName: string;
}

interface LeafRow {
  name: string;
  authority: AuthorityName;
  commonName: string;
  organizations: string[];
  usages: Usage[];
  /** DNS names and IP addresses, mixed; doubles are allowed. */
  sans(context: CertificateContext): string[];
}

/** Common names are distinct, and the namespace is added, so that an error of a TLS client tells whose authority it met. */
const authorityRows: AuthorityRow[] = [
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
    sans: (context) => [
      context.host,
      ...context.extraSans,
      context.workerEndpointHost,
      ...['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', `kubernetes.default.svc.${context.dnsDomain}`],
      ...serviceNames('apiserver', context.namespace),
      'localhost',
      ...[context.firstServiceIp, context.apiserverServiceIp, '127.0.0.1'],
      ...(context.loopbackAddress ? [context.loopbackAddress] : []),
    ],
  },
  { ...client, name: 'apiserver-etcd-client', authority: 'etcd-ca', commonName: 'kube-apiserver-etcd-client' },
  {
    ...client,
    name: 'apiserver-kubelet-client',
    authority: 'ca',
    commonName: 'kube-apiserver-kubelet-client',
    organizations: ['k8sk8s:kubelet-clients'],
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
  {
    ...client,
    name: 'kube-proxy',
    authority: 'ca',
    commonName: 'system:kube-proxy',
    organizations: ['system:node-proxier'],
  },
];

/** Members dial each other by service IP; their server certificate is also their gateway's client certificate. */
function memberRows(member: number): LeafRow[] {
  const row = {
    commonName: `etcd-${member}`,
    organizations: [],
    usages: ['serverAuth', 'clientAuth'] as Usage[],
    sans: (context: CertificateContext) => [
      `etcd-${member}`,
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

const SERVICE_ACCOUNT = 'service-account';
const DAY = 24 * 60 * 60 * 1000;
const RENEW_BEFORE = 30 * DAY;

/**
 * Completes a plane's certificates. An existing authority and the service-account keys are always reused; a leaf is
 * kept while it is what its row of the table asks for and has more than 30 days to live; leaves of no row are dropped.
 * Pure but for randomness.
 *
 * @param existing what an earlier run left, as far as it got
 * @throws UserError when an existing authority or the service-account keys cannot be used: replacing them would lock
 * out every worker, person and pod of the plane
 */
export async function ensureCertificates(
  existing: PkiBundle | undefined,
  context: CertificateContext,
  options: EnsureOptions,
): Promise<EnsuredCertificates> {
  const now = options.now ?? new Date();
  const issueOptions = { keyType: options.keyType, now };
  const rows = [...leafRows, ...context.etcdServiceIps.flatMap((_, member) => memberRows(member))];
  const issued = new Set<string>();

  checkAuthorities(existing, rows, now);
  const authorities = new Map(
    authorityRows.map((row): [AuthorityName, Promise<Credential>] => {
      const present = existing?.authorities[row.name];
      if (present) return [row.name, Promise.resolve(present)];
      issued.add(row.name);
      // X.509 allows 64 characters in a common name.
      return [row.name, createAuthority(`${row.commonName} ${context.namespace}`.slice(0, 64), issueOptions)];
    }),
  );
  const serviceAccount = existingServiceAccount(existing);
  if (!serviceAccount) issued.add(SERVICE_ACCOUNT);

  const ensureLeaf = async (row: LeafRow): Promise<[string, Credential]> => {
    const authority = await authorities.get(row.authority)!;
    const request = leafRequest(row, context);
    const present = existing?.leaves[row.name];
    if (present && isCurrent(present, request, authority, now)) return [row.name, present];
    issued.add(row.name);
    return [row.name, await issueLeaf(authority, request, issueOptions)];
  };
  const [authorityEntries, leafEntries, keys] = await Promise.all([
    Promise.all(
      [...authorities].map(async ([name, credential]): Promise<[string, Credential]> => [name, await credential]),
    ),
    Promise.all(rows.map(ensureLeaf)),
    serviceAccount ?? createKeyPair(options.keyType),
  ]);

  const names = [...authorityRows, ...rows].map((row) => row.name).concat(SERVICE_ACCOUNT);
  return {
    // An authority that the table does not know is kept too: it may be all that some client still trusts.
    bundle: {
      authorities: { ...existing?.authorities, ...Object.fromEntries(authorityEntries) },
      leaves: Object.fromEntries(leafEntries),
      serviceAccount: keys,
    },
    issued: names.filter((name) => issued.has(name)),
    kept: names.filter((name) => !issued.has(name)),
  };
}

/**
 * An administrator whom RBAC cannot bind (system:masters), valid for an hour: deploy holds it in memory to grant the
 * first rights in the hosted cluster, and writes it nowhere.
 */
export async function issueBreakGlass(bundle: PkiBundle, options: { now?: Date } = {}): Promise<Credential> {
  const request: LeafRequest = {
    commonName: 'k8sk8s-deploy',
    organizations: ['system:masters'],
    usages: ['clientAuth'],
  };
  return issueLeaf(bundle.authorities.ca!, request, { keyType: 'ec', days: 1 / 24, now: options.now });
}

function leafRequest(row: LeafRow, context: CertificateContext): LeafRequest {
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

function isCurrent(leaf: Credential, request: LeafRequest, authority: Credential, now: Date): boolean {
  const facts = tryInspect(leaf.certificate);
  if (!facts) return false;
  return (
    facts.commonName === request.commonName &&
    sameSet(facts.organizations, request.organizations ?? []) &&
    sameSet(facts.usages, request.usages) &&
    sameSet(facts.dnsNames, request.dnsNames ?? []) &&
    sameSet(facts.ipAddresses, request.ipAddresses ?? []) &&
    livesLongEnough(facts, inspect(authority.certificate), now) &&
    signedBy(leaf.certificate, authority.certificate) &&
    matches(leaf.certificate, leaf.key)
  );
}

/** A leaf that ends with its authority cannot be renewed for longer: another one would only restart the plane. */
function livesLongEnough(leaf: CertificateFacts, authority: CertificateFacts, now: Date): boolean {
  if (leaf.notBefore > now || leaf.notAfter <= now) return false;
  return leaf.notAfter.getTime() - now.getTime() > RENEW_BEFORE || leaf.notAfter >= authority.notAfter;
}

function checkAuthorities(existing: PkiBundle | undefined, rows: LeafRow[], now: Date): void {
  for (const { name } of authorityRows) {
    const authority = existing?.authorities[name];
    if (authority) checkAuthority(name, authority, now);
    else if (existing && rows.some((row) => row.authority === name && existing.leaves[row.name])) {
      throw new UserError({
        what: `the plane's authority ${name} is gone`,
        why: 'certificates that it signed are still there, so somebody or something has deleted it',
        fix: RESTORE,
        anchor: 'authority-missing',
      });
    }
  }
}

const RESTORE =
  'restore the Secrets of the plane from a backup; without one, destroy the plane and deploy it again, and let the workers join anew';

function checkAuthority(name: string, authority: Credential, now: Date): void {
  const facts = tryInspect(authority.certificate);
  const broken = !facts
    ? 'its certificate cannot be read'
    : !facts.isAuthority
      ? 'its certificate is not that of an authority'
      : !matches(authority.certificate, authority.key)
        ? 'its key cannot be read or belongs to another certificate'
        : undefined;
  if (!facts || broken) {
    throw new UserError({
      what: `the plane's authority ${name} is broken`,
      why: broken,
      fix: RESTORE,
      anchor: 'authority-broken',
    });
  }
  if (facts.notAfter <= now) {
    throw new UserError({
      what: `the plane's authority ${name} has expired`,
      why: `it was valid until ${facts.notAfter.toISOString()}`,
      fix: 'check the clock of this machine; if it is right, destroy the plane and deploy it again, and let the workers join anew',
      anchor: 'authority-expired',
    });
  }
  if (facts.notBefore > now) {
    throw new UserError({
      what: `the plane's authority ${name} is not valid yet`,
      why: `it is valid from ${facts.notBefore.toISOString()} on, and this machine's clock says ${now.toISOString()}`,
      fix: 'set the clock of this machine',
      anchor: 'authority-expired',
    });
  }
}

function existingServiceAccount(existing: PkiBundle | undefined): PkiBundle['serviceAccount'] | undefined {
  const keys = existing?.serviceAccount;
  if (!keys || (keys.publicKey === '' && keys.privateKey === '')) return undefined;
  if (isKeyPair(keys.publicKey, keys.privateKey)) return keys;
  throw new UserError({
    what: "the plane's service-account keys are broken",
    why: 'the public and the private one do not belong together, or one of them cannot be read',
    fix: RESTORE,
    anchor: 'service-account-keys-broken',
  });
}

function tryInspect(certificate: string): CertificateFacts | undefined {
  try {
    return inspect(certificate);
  } catch {
    return undefined;
  }
}

function sameSet(left: string[], right: string[]): boolean {
  const a = new Set(left);
  const b = new Set(right);
  return a.size === b.size && [...a].every((each) => b.has(each));
}
