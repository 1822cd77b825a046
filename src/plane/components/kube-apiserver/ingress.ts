import { isIpv4 } from '../../../base/cidr.ts';
import type { ClusterSpec } from '../../../config/schema.ts';
import type { KubeObject } from '../../../kube/objects.ts';
import { render } from '../../../manifests/render.ts';
import { labelsOf } from '../../names.ts';
import template from './ingress.yaml';

/**
 * What ingress-nginx reads, and Traefik's provider for its objects. By the service's address, which ingress-nginx takes
 * for passthrough anyway: a controller that dials pods has to hear of every new one first, and may wait until it is ready.
 */
const passthrough = {
  'nginx.ingress.kubernetes.io/ssl-passthrough': 'true',
  'nginx.ingress.kubernetes.io/backend-protocol': 'HTTPS',
  'nginx.ingress.kubernetes.io/service-upstream': 'true',
};

/**
 * The ingress, where the plane is exposed by one. Pure.
 *
 * @param earlierHosts names that the plane had before and is to answer at
 */
export function buildIngress(planeId: string, spec: ClusterSpec, earlierHosts: string[] = []): KubeObject[] {
  if (spec.expose !== 'ingress') return [];
  const [ingress] = render(
    template,
    {
      host: spec.host,
      ingressClass: spec.ingressClass,
      annotations: { ...passthrough, ...spec.ingressAnnotations },
      // OpenShift makes a Route of it, and a passthrough Route has no path.
      ...(isPassthroughRoute(spec)
        ? { path: undefined, pathType: 'ImplementationSpecific' }
        : { path: '/', pathType: 'Prefix' }),
    },
    'kube-apiserver/ingress.yaml',
  );
  ingress!.metadata.labels = labelsOf(planeId, 'kube-apiserver', spec.kubernetesVersion);
  const { rules } = (ingress as KubeObject & { spec: { rules: object[] } }).spec;
  // A rule has a name, and no address.
  for (const host of earlierHosts) if (host !== spec.host && !isIpv4(host)) rules.push({ ...rules[0], host });
  return [ingress!];
}

/** https://docs.redhat.com/en/documentation/openshift_container_platform (creating a route through an Ingress object) */
function isPassthroughRoute({ ingressAnnotations }: ClusterSpec): boolean {
  return ingressAnnotations['route.openshift.io/termination'] === 'passthrough';
}
