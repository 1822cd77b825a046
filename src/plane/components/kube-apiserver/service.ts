import { fixedNodePort } from '../../../config/exposure.ts';
import type { ClusterSpec } from '../../../config/schema.ts';
import type { Service } from '../../../kube/objects.ts';
import { render } from '../../../manifests/render.ts';
import { earlierPort, konnectivityPort, loadBalancerPort, tunnelPort } from '../../addresses.ts';
import { exposureOf } from '../../exposures/table.ts';
import { podSelector } from '../../names.ts';
import type { ServiceMoment } from '../component.ts';
import template from './service.yaml';

/**
 * The service by which the API server is reached, labels aside. Pure.
 *
 * @param moment as ServiceMoment says
 */
export function buildApiserverService(
  planeId: string,
  spec: ClusterSpec,
  { starting, earlierNodePort, keptBalancer }: Omit<ServiceMoment, 'members'>,
): Service {
  const balanced = isBalanced(spec) || keptBalancer !== undefined;
  const [service] = render(
    template,
    {
      selector: podSelector(planeId, 'kube-apiserver'),
      type: balanced ? 'LoadBalancer' : spec.allocateNodePorts ? 'NodePort' : 'ClusterIP',
      // The default, true, is the server's.
      allocateLoadBalancerNodePorts: balanced && !spec.allocateNodePorts ? false : undefined,
      ipFamilies: spec.ipFamilies && [spec.ipFamilies],
      starting: starting && spec.replicas === 1,
      nodePort: fixedNodePort(spec),
      // It cannot change while there is a load balancer.
      loadBalancerClass: keptBalancer ? keptBalancer.loadBalancerClass : spec.loadBalancerClass,
      morePorts: [
        // A load balancer and a cluster IP have the ports of the service.
        ...(isReachedByService(spec) && spec.port !== undefined && spec.port !== 443
          ? [{ name: 'public', port: spec.port, targetPort: 'https' }]
          : []),
        ...(isDialledByPods(spec) && !(isReachedByService(spec) && spec.port === loadBalancerPort)
          ? [{ name: 'in-cluster', port: loadBalancerPort, targetPort: 'https' }]
          : []),
        ...(spec.egress === 'konnectivity'
          ? [{ name: 'konnectivity', port: konnectivityPort, targetPort: 'konnectivity' }]
          : []),
        ...(spec.tunnelHost === undefined ? [] : [{ ...tunnelPort, targetPort: tunnelPort.name }]),
        ...(earlierNodePort === undefined
          ? []
          : [{ name: earlierPort.name, port: earlierPort.port, targetPort: 'https', nodePort: earlierNodePort }]),
      ],
    },
    'kube-apiserver/service.yaml',
  );
  if (Object.keys(spec.serviceAnnotations).length > 0) service!.metadata.annotations = spec.serviceAnnotations;
  return service as Service;
}

/** Whether the service is given the address of a load balancer. */
export function isBalanced(spec: Pick<ClusterSpec, 'expose' | 'inCluster'>): boolean {
  return spec.inCluster === 'loadbalancer' || exposureOf(spec).serviceType === 'LoadBalancer';
}

/** The load balancer that a plane has and is to have no more. Pure. @param now the Service as it is */
export function keptBalancerOf(now: Service | undefined, spec: ClusterSpec): ServiceMoment['keptBalancer'] {
  if (now?.spec.type !== 'LoadBalancer' || isBalanced(spec)) return undefined;
  const { loadBalancerClass } = now.spec;
  return loadBalancerClass === undefined ? {} : { loadBalancerClass };
}

function isReachedByService({ expose }: ClusterSpec): boolean {
  return expose === 'loadbalancer' || expose === 'cluster';
}

/** Whether pods of the hosted cluster reach the API server by an address of the service. */
function isDialledByPods({ inCluster }: ClusterSpec): boolean {
  return inCluster === 'loadbalancer' || inCluster === 'clusterip';
}

/**
 * The node port to keep until the API servers that listen there have ended: with --in-cluster node, pods of the workers dial it
 * as long as the endpoints of default/kubernetes name it. Pure.
 *
 * @param now the Service as it is; a run that was killed may have kept a port already
 */
export function earlierNodePortOf(now: Service | undefined, spec: ClusterSpec): number | undefined {
  const portOf = (which: string) => now?.spec.ports?.find(({ name }) => name === which)?.nodePort;
  const wish = fixedNodePort(spec);
  const kept = portOf(earlierPort.name);
  if (!spec.allocateNodePorts) return undefined;
  if (kept !== undefined && kept !== wish) return kept;
  const current = portOf('https');
  return wish === undefined || current === wish ? undefined : current;
}
