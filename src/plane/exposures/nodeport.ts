import type { Exposure } from './exposure.ts';

/** A port of every infra node. */
export const nodePort: Exposure<'nodeport'> = {
  name: 'nodeport',
  leadsTo: 'a node of the infra cluster',
  // The service keeps its node port, where it has one at all.
  outlives: ({ port, nodePort }, next) => next.allocateNodePorts && next.nodePort === (nodePort ?? port),
  serviceType: 'NodePort',
};
