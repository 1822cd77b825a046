import { createHash } from 'node:crypto';
import { didYouMean } from '../base/did-you-mean.ts';
import { UserError } from '../base/errors.ts';
import { command, option, words } from '../base/words.ts';
import type { Kind } from '../kube/cluster.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';
import type { ConfigMap, KubeObject } from '../kube/objects.ts';
import { inspect } from '../pki/inspect.ts';
import { type Credential, createRequest, type KeyType } from '../pki/issue.ts';
import { partOf } from '../plane/names.ts';
import { waitFor } from '../ui/wait-for.ts';

/** What a user may do: a ClusterRole everywhere or in one namespace, or a Role of that namespace. */
export interface Grant {
  role: string;
  kind: 'ClusterRole' | 'Role';
  /** Absent: everywhere. */
  namespace?: string;
}

export interface UserRequest {
  name: string;
  groups: string[];
  grant?: Grant;
  /** Milliseconds; at least ten minutes. */
  ttl: number;
  keyType: KeyType;
}

export interface User {
  name: string;
  groups: string[];
  /** When the last certificate of this user expires. */
  until: Date;
  /** When that certificate was issued, or something was revoked. */
  changed: Date;
  revoked: boolean;
  /** Bindings that k8sk8s made for this user, `clusterrolebinding "…"` with the role. */
  grants: Grant[];
}

/** The access that a revoked user still has, until the certificate expires. */
export interface Remaining {
  until: Date;
  /** Bindings that somebody else made for the user or for one of the groups of the certificate. */
  bindings: string[];
}

export interface RoleBinding extends KubeObject {
  roleRef: { apiGroup: string; kind: string; name: string };
  subjects?: { kind: string; name: string; apiGroup?: string }[];
}

interface SigningRequest extends KubeObject {
  spec: { request: string; signerName: string; expirationSeconds: number; usages: string[] };
  status?: {
    certificate?: string;
    conditions?: { type: string; status: string; reason?: string; message?: string }[];
  };
}

const rbac = 'rbac.authorization.k8s.io';
export const bindingKinds: Kind[] = [
  { apiVersion: `${rbac}/v1`, kind: 'ClusterRoleBinding' },
  { apiVersion: `${rbac}/v1`, kind: 'RoleBinding' },
];
const recordKind: Kind = { apiVersion: 'v1', kind: 'ConfigMap' };
const recordNamespace = 'kube-system';
/** Label of all objects of one user; its value is the user's `key`. */
const userLabel = 'k8sk8s.io/user';
const signWithin = 30_000;

/**
 * A client certificate for a user, signed by the hosted cluster itself, and the binding for its rights. The record of the user
 * is written before the certificate exists, so that the user can always be listed and revoked.
 *
 * @throws UserError when the role or namespace is not there, or nobody signs
 */
export async function createUser(cluster: HostedCluster, request: UserRequest): Promise<Credential & { until: Date }> {
  const { name, groups, grant, ttl, keyType } = request;
  if (grant) await checkGrant(cluster, grant);
  const before = (await listUsers(cluster)).find((user) => user.name === name);
  const planned = new Date(Date.now() + ttl);
  const until = before && before.until > planned ? before.until : planned;
  const allGroups = [...new Set([...(before && before.until > new Date() ? before.groups : []), ...groups])];
  await cluster.apply(recordOf(name, allGroups, until, false));
  const credential = await sign(
    cluster,
    request,
    await createRequest({ commonName: name, organizations: groups }, keyType),
  );
  if (grant) await cluster.apply(bindingOf({ kind: 'User', name }, grant, labels(name)));
  return { ...credential, until: inspect(credential.certificate).notAfter };
}

/** @throws UserError `no-role` */
export async function checkGrant(cluster: HostedCluster, { role, kind, namespace }: Grant): Promise<void> {
  if (namespace !== undefined && !(await cluster.get({ apiVersion: 'v1', kind: 'Namespace' }, namespace)))
    throw new UserError({
      what: `the hosted cluster has no namespace "${namespace}"`,
      fix: words`create it, or name another with ${option('inNamespace')}`,
      anchor: 'no-role',
    });
  const roleKind = { apiVersion: `${rbac}/v1`, kind };
  const inside = kind === 'Role' ? namespace : undefined;
  if (await cluster.get(roleKind, role, inside)) return;
  const { items } = await cluster.list(roleKind, { namespace: inside });
  throw new UserError({
    what: `the hosted cluster has no ${kind} "${role}"${inside ? ` in namespace "${inside}"` : ''}${didYouMean(
      role,
      items.map(({ metadata }) => metadata.name),
    )}`,
    fix: kind === 'ClusterRole' ? 'view, edit, admin and cluster-admin are always there' : 'create it first',
    anchor: 'no-role',
  });
}

async function sign(
  cluster: HostedCluster,
  { name, ttl }: UserRequest,
  { request, key }: { request: string; key: string },
): Promise<Credential> {
  const created = await cluster.create<SigningRequest>({
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: {
      name: `k8sk8s-user-${keyOf(name)}-${createHash('sha256').update(request).digest('hex').slice(0, 8)}`,
      labels: { 'app.kubernetes.io/part-of': partOf, [userLabel]: keyOf(name) },
    },
    spec: {
      request: Buffer.from(request).toString('base64'),
      signerName: 'kubernetes.io/kube-apiserver-client',
      expirationSeconds: Math.round(ttl / 1000),
      usages: ['client auth', 'digital signature'],
    },
  });
  try {
    const message = 'asked for through k8sk8s by somebody who administers the plane';
    await cluster.approve({
      ...created,
      status: { conditions: [{ type: 'Approved', status: 'True', reason: 'K8sk8sUserCreate', message }] },
    });
    return { certificate: await signed(cluster, created), key };
  } finally {
    await cluster.delete(created, created.metadata.name);
  }
}

async function signed(cluster: HostedCluster, request: SigningRequest): Promise<string> {
  const certificate = await waitFor({
    until: async () => {
      const now = await cluster.get<SigningRequest>(request, request.metadata.name);
      const failed = now?.status?.conditions?.find(({ type }) => type === 'Failed' || type === 'Denied');
      if (failed) throw notSigned(failed.message ?? `its request is ${failed.type}`);
      return now?.status?.certificate;
    },
    timeout: signWithin,
    every: 100,
    late: (after) => notSigned(`its controller-manager did not answer the request within ${after}`),
  });
  return Buffer.from(certificate, 'base64').toString('utf8');
}

function notSigned(why: string): UserError {
  return new UserError({
    what: 'the hosted cluster signed no certificate',
    why,
    fix: words`look at ${command('status')} and ${command('logs', undefined, 'kube-controller-manager')}, with the same ${option('namespace')}`,
    anchor: 'not-signed',
  });
}

/** All users of `user create`, sorted by name. */
export async function listUsers(cluster: HostedCluster): Promise<User[]> {
  const [records, ...bindings] = await Promise.all([
    cluster.list<ConfigMap>(recordKind, { namespace: recordNamespace, labelSelector: userLabel }),
    ...bindingKinds.map((kind) => cluster.list<RoleBinding>(kind, { labelSelector: userLabel })),
  ]);
  const all = bindings.flatMap(({ items }) => items);
  return records.items
    .map(({ metadata, data = {} }) => ({
      name: data.name ?? '',
      groups: JSON.parse(data.groups ?? '[]') as string[],
      until: new Date(data.until ?? 0),
      changed: new Date(
        metadata.managedFields
          ?.map(({ time = 0 }) => time)
          .sort()
          .at(-1) ?? 0,
      ),
      revoked: data.revoked === 'true',
      grants: all
        .filter((binding) => binding.metadata.labels?.[userLabel] === metadata.labels?.[userLabel])
        .map(grantOf),
    }))
    .sort((a, b) => a.name.localeCompare(b.name));
}

/**
 * Deletes the bindings of `user create`. A certificate cannot be revoked: until it expires, its holder still has that name,
 * with all rights that others granted to the name or its groups.
 *
 * @returns the remaining access; undefined when all certificates have expired and the user was deleted
 * @throws UserError `no-user`
 */
export async function revokeUser(cluster: HostedCluster, name: string): Promise<Remaining | undefined> {
  const users = await listUsers(cluster);
  const user = users.find((each) => each.name === name);
  if (!user) throw noUser(name, 'no certificate', users);
  const lists = await Promise.all(bindingKinds.map((kind) => cluster.list<RoleBinding>(kind)));
  const all = lists.flatMap(({ items }) => items);
  const own = all.filter(({ metadata }) => metadata.labels?.[userLabel] === keyOf(name));
  await Promise.all(own.map((each) => cluster.delete(each, each.metadata.name, each.metadata.namespace)));
  if (user.until <= new Date()) {
    await cluster.delete(recordKind, recordName(name), recordNamespace);
    return undefined;
  }
  await cluster.apply(recordOf(name, user.groups, user.until, true));
  return {
    until: user.until,
    bindings: all
      .filter((binding) => !own.includes(binding) && names(binding, user))
      .map(
        ({ kind, metadata, roleRef }) =>
          `${kind.toLowerCase()} "${metadata.name}"${metadata.namespace ? ` in ${metadata.namespace}` : ''} (${roleRef.name})`,
      ),
  };
}

/**
 * @param has what k8sk8s has not made for the name
 * @param known those that the name may have been meant for
 */
export function noUser(name: string, has: string, known: { name: string }[]): UserError {
  return new UserError({
    what: `k8sk8s made ${has} for "${name}"${didYouMean(
      name,
      known.map((each) => each.name),
    )}`,
    fix: words`${command('user list')} shows the names that it knows`,
    anchor: 'no-user',
  });
}

function names({ subjects = [] }: RoleBinding, { name, groups }: User): boolean {
  return subjects.some(
    (subject) =>
      (subject.kind === 'User' && subject.name === name) || (subject.kind === 'Group' && groups.includes(subject.name)),
  );
}

function recordOf(name: string, groups: string[], until: Date, revoked: boolean): ConfigMap {
  return {
    ...recordKind,
    metadata: { name: recordName(name), namespace: recordNamespace, labels: labels(name) },
    data: { name, groups: JSON.stringify(groups), until: until.toISOString(), revoked: String(revoked) },
  };
}

/** What makes a grant hold. @param subject whose it is */
export function bindingOf(
  subject: { kind: 'User' | 'Group'; name: string },
  { role, kind, namespace }: Grant,
  labels: Record<string, string>,
): RoleBinding {
  return {
    apiVersion: `${rbac}/v1`,
    kind: namespace === undefined ? 'ClusterRoleBinding' : 'RoleBinding',
    metadata: {
      // The role of a binding cannot be changed, so each role has a binding of its own.
      name: `k8sk8s:${subject.kind.toLowerCase()}:${keyOf(subject.name)}:${kind === 'Role' ? 'role:' : ''}${role}`,
      ...(namespace !== undefined && { namespace }),
      labels,
    },
    roleRef: { apiGroup: rbac, kind, name: role },
    subjects: [{ apiGroup: rbac, ...subject }],
  };
}

/** What the binding of a grant says. Pure. */
export function grantOf({ roleRef, metadata: { namespace } }: RoleBinding): Grant {
  return { role: roleRef.name, kind: roleRef.kind as Grant['kind'], ...(namespace && { namespace }) };
}

function labels(name: string): Record<string, string> {
  return { 'app.kubernetes.io/part-of': partOf, 'app.kubernetes.io/managed-by': partOf, [userLabel]: keyOf(name) };
}

function recordName(name: string): string {
  return `k8sk8s-user-${keyOf(name)}`;
}

/** A user's name in the form that object names and labels allow; different names give different results. */
export function keyOf(name: string): string {
  const readable =
    name
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 40) || 'user';
  return `${readable}-${createHash('sha256').update(name).digest('hex').slice(0, 6)}`;
}
