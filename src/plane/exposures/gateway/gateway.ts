import type { ClusterSpec } from '../../../config/schema.ts';
import type { KubeObject } from '../../../kube/objects.ts';
import { render } from '../../../manifests/render.ts';
import { exposingName, tunnelName, tunnelPort } from '../../addresses.ts';
import { type Condition, type Exposure, verdictOf } from '../exposure.ts';
import template from './tlsroute.yaml';

const tlsRoute = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'TLSRoute' };

/** A TLSRoute of the Gateway API, in whichever version the infra cluster serves. */
export const gateway: Exposure<'gateway'> = {
  name: 'gateway',
  leadsTo: 'the Gateway of the infra cluster',
  kinds: [{ ...tlsRoute, names: [exposingName, tunnelName] }],
  objects: (spec, hosts) => {
    const { namespace, name, listener } = gatewayOf(spec);
    const route = (of: { name: string; hosts: string[]; port: number }) =>
      render(
        template,
        { ...of, annotations: annotationsOf(spec), gateway: name, namespace, listener },
        'tlsroute.yaml',
      );
    return [
      ...route({ name: exposingName, hosts, port: 443 }),
      // A route leads all of its names to one port.
      ...(spec.tunnelHost === undefined
        ? []
        : route({ name: tunnelName, hosts: [spec.tunnelHost], port: tunnelPort.port })),
    ];
  },
  // Each Gateway that the route names says whether it takes it.
  judge: (route) => {
    const { parents = [] } =
      (route as KubeObject & { status?: { parents?: { conditions?: Condition[] }[] } }).status ?? {};
    return verdictOf(
      // What is said of an earlier state of the route does not count.
      parents.map(({ conditions = [] }) =>
        conditions.filter(({ observedGeneration: of }) => of === undefined || of === route.metadata.generation),
      ),
      ['Accepted', 'ResolvedRefs'],
    );
  },
};

/** What --gateway names: [NAMESPACE/]NAME[/LISTENER]. Pure. */
export function gatewayOf({ gateway = '' }: Pick<ClusterSpec, 'gateway'>): {
  namespace: string;
  name: string;
  listener?: string;
} {
  const [namespace = '', name = '', listener] = gateway.split('/');
  return { namespace, name, listener };
}

function annotationsOf({ ingressAnnotations }: ClusterSpec): Record<string, string> | undefined {
  return Object.keys(ingressAnnotations).length > 0 ? ingressAnnotations : undefined;
}
