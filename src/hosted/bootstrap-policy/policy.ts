import { createHash, randomUUID } from 'node:crypto';
import type { KeyValue } from '../../etcd/gateway.ts';
import type { Kind } from '../../kube/cluster.ts';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import type { KubeObject } from '../../kube/objects.ts';

/**
 * The roles and bindings that every API server of a version makes at its first start, one after the other
 * (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings). Nothing in them is
 * secret or of one plane: no UIDs, times, or versions.
 */
export interface BootstrapPolicy {
  kubernetesVersion: string;
  objects: KubeObject[];
  /** SHA-256 of `objects` as JSON, in hexadecimal. */
  sha256: string;
}

const rbac = 'rbac.authorization.k8s.io/v1';
/** In the order in which an API server makes them, and where it keeps them. */
const kinds: (Kind & { resource: string })[] = [
  { apiVersion: rbac, kind: 'ClusterRole', resource: 'clusterroles' },
  { apiVersion: rbac, kind: 'ClusterRoleBinding', resource: 'clusterrolebindings' },
  { apiVersion: rbac, kind: 'Role', resource: 'roles' },
  { apiVersion: rbac, kind: 'RoleBinding', resource: 'rolebindings' },
];
const labelSelector = 'kubernetes.io/bootstrapping=rbac-defaults';

/** What a plane that nobody else has written to yet made by itself. */
export async function readPolicy(hosted: HostedCluster, kubernetesVersion: string): Promise<BootstrapPolicy> {
  const lists = await Promise.all(kinds.map((kind) => hosted.list<KubeObject>(kind, { labelSelector })));
  const objects = lists.flatMap(({ items }, index) => {
    const { apiVersion, kind } = kinds[index]!;
    return items.map((item) => withoutIdentity({ ...item, apiVersion, kind })).sort(byName);
  });
  return policyOf(kubernetesVersion, objects);
}

export function policyOf(kubernetesVersion: string, objects: KubeObject[]): BootstrapPolicy {
  const sha256 = createHash('sha256').update(JSON.stringify(objects)).digest('hex');
  return { kubernetesVersion, objects, sha256 };
}

/** Whether it is whole, and for that version. Pure. */
export function isPolicy(value: unknown, kubernetesVersion: string): value is BootstrapPolicy {
  const { objects, sha256, kubernetesVersion: version } = (value ?? {}) as Partial<BootstrapPolicy>;
  return version === kubernetesVersion && Array.isArray(objects) && policyOf(version, objects).sha256 === sha256;
}

/**
 * The policy as a new plane's etcd keeps it: as JSON, which API servers read beside their own protobuf, with an identity of
 * this plane's own.
 */
export function storedPolicy({ objects }: BootstrapPolicy, now = new Date()): KeyValue[] {
  const creationTimestamp = `${now.toISOString().slice(0, 19)}Z`;
  return objects.map((object) => {
    const { name, namespace } = object.metadata;
    const { resource } = kinds.find(({ kind }) => kind === object.kind)!;
    const stored = { ...object, metadata: { ...object.metadata, uid: randomUUID(), creationTimestamp } };
    return { key: ['/registry', resource, namespace, name].filter(Boolean).join('/'), value: JSON.stringify(stored) };
  });
}

function withoutIdentity({ metadata: { name, namespace, labels, annotations }, ...object }: KubeObject): KubeObject {
  return { ...object, metadata: { name, ...(namespace && { namespace }), labels, annotations } };
}

function byName(a: KubeObject, b: KubeObject): number {
  const full = ({ metadata: { namespace = '', name } }: KubeObject) => `${namespace}/${name}`;
  return full(a) < full(b) ? -1 : 1;
}
