import type { Exposure } from './exposure.ts';

/** A load balancer of its own, which the infra cluster gives to the service. */
export const loadBalancer: Exposure<'loadbalancer'> = {
  name: 'loadbalancer',
  leadsTo: 'the load balancer of the service apiserver',
  outlives: (_, next) => next.expose === 'loadbalancer' || next.inCluster === 'loadbalancer',
  serviceType: 'LoadBalancer',
};
