import type { Exposure } from './exposure.ts';

/** The service alone: for who is in the infra cluster, and for who comes through its API's port-forward. */
export const cluster: Exposure<'cluster'> = {
  name: 'cluster',
  leadsTo: undefined,
  // Every plane has the service.
  outlives: () => true,
};
