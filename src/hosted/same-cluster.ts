import type { HostedCluster } from '../kube/hosted-cluster.ts';
import type { PlaneRecord } from '../plane/record.ts';
import { kubeletClientsBinding } from './addons/addons.ts';

/** Whether etcd has the data that it had when the plane was deployed last: bindings can be gone because a tenant deleted them. */
export async function isSameCluster(
  hosted: HostedCluster,
  { hostedUid }: Pick<PlaneRecord, 'hostedUid'>,
): Promise<boolean> {
  // A plane that 0.1.0 deployed last has none in its record.
  return hostedUid === undefined ? hasBinding(hosted) : (await hostedClusterUid(hosted)) === hostedUid;
}

/** The UID of namespace kube-system, which no tenant can delete; undefined right after an empty etcd was started. */
export async function hostedClusterUid(hosted: HostedCluster): Promise<string | undefined> {
  return (await hosted.get({ apiVersion: 'v1', kind: 'Namespace' }, 'kube-system'))?.metadata.uid;
}

/** Whether the binding is there that every deploy leaves. */
export async function hasBinding(hosted: HostedCluster): Promise<boolean> {
  const kind = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding' };
  return (await hosted.get(kind, kubeletClientsBinding)) !== undefined;
}
