import { render } from '../../../manifests/render.ts';
import { exposingName, tunnelPort } from '../../addresses.ts';
import type { Exposure } from '../exposure.ts';
import template from './ingressroutetcp.yaml';

/**
 * Traefik's own kind. Without its provider for ingress-nginx's objects or for the Gateway API, as K3s and RKE2 come with it, Traefik
 * passes TLS through in no other way.
 */
export const traefik: Exposure<'traefik'> = {
  name: 'traefik',
  leadsTo: 'Traefik in the infra cluster',
  kinds: [{ apiVersion: 'traefik.io/v1alpha1', kind: 'IngressRouteTCP', names: [exposingName] }],
  objects: ({ ingressClass, ingressAnnotations, tunnelHost }, hosts) => {
    const annotations = {
      ...(ingressClass !== undefined && { 'kubernetes.io/ingress.class': ingressClass }),
      ...ingressAnnotations,
    };
    return render(
      template,
      {
        name: exposingName,
        annotations: Object.keys(annotations).length > 0 ? annotations : undefined,
        routes: [route(hosts, 443), ...(tunnelHost === undefined ? [] : [route([tunnelHost], tunnelPort.port)])],
      },
      'ingressroutetcp.yaml',
    );
  },
};

/** By the service's address (nativeLB), so that Traefik need not hear of every new pod first. */
function route(hosts: string[], port: number) {
  const match = hosts.map((host) => `HostSNI(\`${host}\`)`).join(' || ');
  return { match, services: [{ name: 'apiserver', port, nativeLB: true }] };
}
