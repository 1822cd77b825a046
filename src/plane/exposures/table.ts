import { isIpv4 } from '../../base/cidr.ts';
import { routedByName } from '../../config/exposure.ts';
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

/** The ways to expose a plane: the values of --expose. */
const exposures: readonly Exposure<ClusterSpec['expose']>[] = [
  ingress,
  gateway,
  traefik,
  route,
  loadBalancer,
  nodePort,
  cluster,
];

export function exposureOf({ expose }: Pick<ClusterSpec, 'expose'>): Exposure<ClusterSpec['expose']> {
  return exposures.find(({ name }) => name === expose)!;
}

/** Kinds of which a plane has objects because it is exposed by one of the ways. */
export const kindsOfExposures: PlaneKind[] = exposures.flatMap(({ name, kinds = [] }) =>
  kinds.map((kind): PlaneKind => ({ ...kind, usedBy: ({ expose }) => expose === name, endsFirst: true })),
);

/** Whether an object is what leads to the API server's service. */
export function isExposure({ metadata, kind }: KubeObject): boolean {
  return kindsOfExposures.some((each) => each.kind === kind && each.names.includes(metadata.name));
}

/** Rights beside those on kinds: of every way to expose a plane, or of all but one. */
export function rightsOfExposures(without?: ClusterSpec['expose']): NonNullable<Exposure['rights']> {
  return exposures.filter(({ name }) => name !== without).flatMap(({ rights = [] }) => rights);
}

/**
 * What leads to the service, where the plane is exposed by that. Pure.
 *
 * @param earlierHosts names that the plane had before and is to answer at
 */
export function buildExposure(planeId: string, spec: ClusterSpec, earlierHosts: string[] = []): KubeObject[] {
  const hosts = [...new Set([spec.host, ...spec.moreHosts, ...earlierHosts])];
  // A rule has a name, and no address.
  const answered = routedByName.includes(spec.expose) ? hosts.filter((host) => !isIpv4(host)) : hosts;
  return (exposureOf(spec).objects?.(spec, answered) ?? []).map((object) => ({
    ...object,
    metadata: { ...object.metadata, labels: labelsOf(planeId, 'kube-apiserver', spec.kubernetesVersion) },
  }));
}
