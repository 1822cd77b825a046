import { isDeepStrictEqual } from 'node:util';
import { isIpv4 } from '../../base/cidr.ts';
import { type ExposureName, exposureNames, isRoutedByName } from '../../config/exposure.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import type { KubeObject } from '../../kube/objects.ts';
import type { PlaneKind } from '../components/component.ts';
import { labelsOf } from '../names.ts';
import { cluster } from './cluster.ts';
import type { Exposure } from './exposure.ts';
import { gateway } from './gateway/gateway.ts';
import { ingress } from './ingress/ingress.ts';
import { loadBalancer } from './loadbalancer.ts';
import { nodePort } from './nodeport.ts';
import { route } from './route/route.ts';
import { traefik } from './traefik/traefik.ts';

/** What each way to expose a plane is made of. */
const table: { [Name in ExposureName]: Exposure<Name> } = {
  ingress,
  gateway,
  traefik,
  route,
  loadbalancer: loadBalancer,
  nodeport: nodePort,
  cluster,
};
const exposures: readonly Exposure[] = exposureNames.map((name) => table[name]);

export function exposureOf({ expose }: Pick<ClusterSpec, 'expose'>): Exposure {
  return table[expose];
}

/** Whether a plane keeps answering at its address after a change to `next`. */
export function outlives(before: ClusterSpec, next: ClusterSpec): boolean {
  return exposureOf(before).outlives?.(before, next) ?? (isRoutedByName(before) && isRoutedByName(next));
}

/** Kinds of which a plane has objects because it is exposed by one of the ways. */
export const kindsOfExposures: PlaneKind[] = exposures.flatMap(({ name, kinds = [] }) =>
  kinds.map((kind): PlaneKind => ({ ...kind, usedBy: ({ expose }) => expose === name, endsFirst: true })),
);

/** Whether an object is what leads to the API server's service. */
export function isExposure({ metadata, kind }: KubeObject): boolean {
  return kindsOfExposures.some((each) => each.kind === kind && each.names.includes(metadata.name));
}

/** Whether an object is what leads to a plane of `spec`. */
export function leadsTo({ expose }: Pick<ClusterSpec, 'expose'>, { kind, metadata }: KubeObject): boolean {
  return (table[expose].kinds ?? []).some((each) => each.kind === kind && each.names.includes(metadata.name));
}

/** Whether another thing is to lead to a plane: a way of another kind, or the same kind by another controller, as its objects name it. Pure. */
export function leadsOtherwise(before: ClusterSpec, next: ClusterSpec): boolean {
  // Which names there are is no matter of the way.
  const objects = (spec: ClusterSpec) => exposureOf(spec).objects?.({ ...spec, tunnelHost: undefined }, [next.host]);
  return before.expose !== next.expose || !isDeepStrictEqual(objects(before), objects(next));
}

/** Rights beside those on kinds: of every way to expose a plane, or of all but one. */
export function rightsOfExposures(without?: ClusterSpec['expose']): NonNullable<Exposure['rights']> {
  return exposures.filter(({ name }) => name !== without).flatMap(({ rights = [] }) => rights);
}

/**
 * What leads to the service, where the plane is exposed by that. Pure.
 *
 * @param earlierHosts names by which it was exposed before and is to answer at
 */
export function buildExposure(planeId: string, spec: ClusterSpec, earlierHosts: string[] = []): KubeObject[] {
  const hosts = [...new Set([spec.host, ...spec.moreHosts, ...earlierHosts])];
  // A rule has a name, and no address.
  const answered = isRoutedByName(spec) ? hosts.filter((host) => !isIpv4(host)) : hosts;
  return (exposureOf(spec).objects?.(spec, answered) ?? []).map((object) => ({
    ...object,
    metadata: { ...object.metadata, labels: labelsOf(planeId, 'kube-apiserver', spec.kubernetesVersion) },
  }));
}
