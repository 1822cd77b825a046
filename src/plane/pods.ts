import type { InfraCluster } from '../kube/cluster.ts';
import type { Pod } from '../kube/objects.ts';
import type { Component } from '../spec.ts';
import { planeSelector } from './names.ts';

/** A component's pods, by name. */
export async function podsOf(cluster: InfraCluster, planeId: string, component: Component): Promise<Pod[]> {
  const { items } = await cluster.pods(`${planeSelector(planeId)},app.kubernetes.io/name=${component}`);
  return items.sort((a, b) => a.metadata.name.localeCompare(b.metadata.name));
}

export function isReady({ metadata, status }: Pod): boolean {
  const containers = status?.containerStatuses ?? [];
  return !metadata.deletionTimestamp && containers.length > 0 && containers.every(({ ready }) => ready);
}
