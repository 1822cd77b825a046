import { hostedControlPlane } from '../config/hosted-control-plane.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { KubeObject, OwnerReference } from '../kube/objects.ts';
import { planeKinds } from '../plane/kinds.ts';
import { planeSelector, recordName } from '../plane/names.ts';

const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };

/**
 * Objects of the plane that a HostedControlPlane owns and should not, or the other way round: also what was not applied by this run,
 * such as claims, which their StatefulSet makes, and what a command has made.
 *
 * @param owner undefined: no HostedControlPlane is to own them
 */
export async function wronglyOwned(
  cluster: InfraCluster,
  planeId: string,
  owner: OwnerReference | undefined,
): Promise<KubeObject[]> {
  const lists = await Promise.all(
    planeKinds.map((each) => cluster.list(each, { labelSelector: planeSelector(planeId), metadataOnly: true })),
  );
  const held = await cluster.get(lease, recordName);
  const objects = [...lists.flatMap(({ items }) => items), ...(held ? [held] : [])];
  return objects.filter((object) => ownersOf(object, owner) !== undefined);
}

/** Gives objects that {@link wronglyOwned} found the owner that they should have. */
export async function setOwner(
  cluster: InfraCluster,
  objects: KubeObject[],
  owner: OwnerReference | undefined,
): Promise<void> {
  for (const object of objects) {
    const { uid, name } = object.metadata;
    await cluster.merge(object, name, { metadata: { uid, ownerReferences: ownersOf(object, owner) } });
  }
}

/** Whether an owner is a HostedControlPlane. Pure. */
export function isObject({ apiVersion, kind }: OwnerReference): boolean {
  return apiVersion === hostedControlPlane.apiVersion && kind === hostedControlPlane.kind;
}

/** @returns undefined where nothing is to be changed */
function ownersOf({ metadata }: KubeObject, owner: OwnerReference | undefined): OwnerReference[] | undefined {
  const before = metadata.ownerReferences ?? [];
  const others = before.filter((each) => !isObject(each));
  const ours = before.filter(isObject);
  const isRight = owner ? ours.length === 1 && ours[0]!.uid === owner.uid : ours.length === 0;
  return isRight ? undefined : [...others, ...(owner ? [owner] : [])];
}
