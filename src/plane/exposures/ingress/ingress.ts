import type { ClusterSpec } from '../../../config/schema.ts';
import type { KubeObject } from '../../../kube/objects.ts';
import { render } from '../../../manifests/render.ts';
import { exposingName, tunnelPort } from '../../addresses.ts';
import type { Exposure } from '../exposure.ts';
import template from './ingress.yaml';

/**
 * A tenant sees the name of an IngressClass and never its controller, so what each controller reads is there at once, and the others
 * pass it over. By the service's address, which ingress-nginx takes for passthrough anyway: a controller that dials pods has to hear of
 * every new one first, and may wait until it is ready.
 */
const passthrough = {
  // ingress-nginx, and Traefik's provider for its objects.
  'nginx.ingress.kubernetes.io/ssl-passthrough': 'true',
  'nginx.ingress.kubernetes.io/backend-protocol': 'HTTPS',
  'nginx.ingress.kubernetes.io/service-upstream': 'true',
  // HAProxy Technologies' controller.
  'haproxy.org/ssl-passthrough': 'true',
  // The HAProxy Ingress of haproxy-ingress.github.io.
  'haproxy-ingress.github.io/ssl-passthrough': 'true',
};

/** An Ingress whose controller passes TLS through. */
export const ingress: Exposure<'ingress'> = {
  name: 'ingress',
  leadsTo: 'the ingress controller of the infra cluster',
  kinds: [{ apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', names: [exposingName] }],
  objects: (spec, hosts) => {
    const annotations = { ...passthrough, ...spec.ingressAnnotations };
    const [ingress] = render(
      template,
      {
        name: exposingName,
        ingressClass: spec.ingressClass,
        annotations,
        rules: [
          ...hosts.map((host) => rule(spec, host, 'https')),
          ...(spec.tunnelHost === undefined ? [] : [rule(spec, spec.tunnelHost, tunnelPort.name)]),
        ],
      },
      'ingress.yaml',
    );
    return [ingress as KubeObject];
  },
};

function rule({ ingressAnnotations }: ClusterSpec, host: string, port: string) {
  // OpenShift makes a Route of it, and a passthrough Route has no path
  // (https://docs.redhat.com/en/documentation/openshift_container_platform, creating a route through an Ingress object).
  const isRoute = ingressAnnotations['route.openshift.io/termination'] === 'passthrough';
  const path = isRoute ? { pathType: 'ImplementationSpecific' } : { path: '/', pathType: 'Prefix' };
  return { host, http: { paths: [{ ...path, backend: { service: { name: 'apiserver', port: { name: port } } } }] } };
}
