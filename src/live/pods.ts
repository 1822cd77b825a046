import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { KubeObject, Pod } from '../kube/objects.ts';
import type { Component } from '../plane/components/lookup.ts';
import { planeSelector } from '../plane/names.ts';

/** Pods of a component, or of the whole plane, by name; not those that ran to their end and stay in the list, as an evicted one does. */
export async function podsOf(cluster: InfraCluster, planeId: string, component?: Component): Promise<Pod[]> {
  const { items } = await cluster.pods(
    component ? `${planeSelector(planeId)},app.kubernetes.io/name=${component}` : planeSelector(planeId),
  );
  return items
    .filter(
      ({ metadata, status }) => metadata.deletionTimestamp || !['Succeeded', 'Failed'].includes(status?.phase ?? ''),
    )
    .sort((a, b) => a.metadata.name.localeCompare(b.metadata.name));
}

/** Ends API servers that are ending without their grace: nobody waits for their last answers, nor for an etcd that is gone. */
export async function hastenApiServers(cluster: InfraCluster, pods: KubeObject[]): Promise<void> {
  const slow = pods.filter(
    ({ metadata }) =>
      metadata.labels?.['app.kubernetes.io/name'] === 'kube-apiserver' &&
      metadata.deletionTimestamp &&
      (metadata.deletionGracePeriodSeconds ?? 0) > lastSeconds,
  );
  await Promise.all(slow.map((pod) => cluster.endPod(pod, lastSeconds)));
}

/** Enough for an API server to end its log. */
const lastSeconds = 1;

export function isReady({ metadata, status }: Pod): boolean {
  const containers = status?.containerStatuses ?? [];
  return !metadata.deletionTimestamp && containers.length > 0 && containers.every(({ ready }) => ready);
}
