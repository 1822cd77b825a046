import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { KubeObject, Pod } from '../kube/objects.ts';
import type { Beside } from '../plane/beside/lookup.ts';
import type { Component } from '../plane/components/lookup.ts';
import { planeSelector } from '../plane/names.ts';

/** Pods of a component, or of the whole plane, by name; not those that ran to their end and stay in the list, as an evicted one does. */
export async function podsOf(cluster: InfraCluster, planeId: string, component?: Component | Beside): Promise<Pod[]> {
  const { items } = await cluster.pods(
    component ? `${planeSelector(planeId)},app.kubernetes.io/name=${component}` : planeSelector(planeId),
  );
  return items
    .filter(
      ({ metadata, status }) => metadata.deletionTimestamp || !['Succeeded', 'Failed'].includes(status?.phase ?? ''),
    )
    .sort((a, b) => a.metadata.name.localeCompare(b.metadata.name));
}

/**
 * Scales the API server's Deployment to zero and ends its pods without their grace: nobody waits for their last answers,
 * nor for an etcd that is gone. The pods are deleted here, at once, because the first deletion counts: kubelet does not
 * shorten a grace that has begun (seen with containerd 1.6: 25 s although 1 s was asked for a moment later).
 */
export async function endApiServers(cluster: InfraCluster, planeId: string): Promise<void> {
  const pods = await podsOf(cluster, planeId, 'kube-apiserver');
  const scaled = cluster.merge({ apiVersion: 'apps/v1', kind: 'Deployment' }, 'kube-apiserver', {
    spec: { replicas: 0 },
  });
  // Who deletes the Deployment at the same time does not keep the pods from being ended.
  const [scaling] = await Promise.allSettled([
    scaled,
    ...pods.filter(({ metadata }) => !metadata.deletionTimestamp).map((pod) => cluster.endPod(pod, lastSeconds)),
  ]);
  if (scaling.status === 'rejected') throw scaling.reason;
}

/** Whether an object is the Deployment that {@link endApiServers} scales. */
export function isApiServer({ kind, metadata }: KubeObject): boolean {
  return kind === 'Deployment' && metadata.name === 'kube-apiserver';
}

/** Enough for an API server to end its log. */
const lastSeconds = 1;

export function isReady({ metadata, status }: Pod): boolean {
  const containers = status?.containerStatuses ?? [];
  return !metadata.deletionTimestamp && containers.length > 0 && containers.every(({ ready }) => ready);
}
