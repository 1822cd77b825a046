import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { KubeObject } from '../kube/objects.ts';
import { planeKinds } from '../plane/kinds.ts';
import { planeSelector, recordName } from '../plane/names.ts';
import { kind } from './object.ts';

const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };

/**
 * Every object of the plane gets the cluster's owner, or loses it where the cluster has none: also what was not applied by this
 * run, such as claims, which their StatefulSet makes, and what a command has made.
 */
export async function setOwner(cluster: InfraCluster, planeId: string): Promise<void> {
  const lists = await Promise.all(
    planeKinds.map((each) => cluster.list(each, { labelSelector: planeSelector(planeId), metadataOnly: true })),
  );
  const held = await cluster.get(lease, recordName);
  const objects = [...lists.flatMap(({ items }) => items), ...(held ? [held] : [])];
  for (const object of objects) {
    const wanted = ownersOf(object, cluster);
    if (wanted) await cluster.merge(object, object.metadata.name, { metadata: { ownerReferences: wanted } });
  }
}

/** @returns undefined where nothing is to be changed */
function ownersOf({ metadata }: KubeObject, { owner }: InfraCluster): object[] | undefined {
  const before = metadata.ownerReferences ?? [];
  const others = before.filter((each) => !(each.apiVersion === kind.apiVersion && each.kind === kind.kind));
  const ours = before.filter((each) => !others.includes(each));
  const isRight = owner ? ours.length === 1 && ours[0]!.uid === owner.uid : ours.length === 0;
  return isRight ? undefined : [...others, ...(owner ? [owner] : [])];
}
