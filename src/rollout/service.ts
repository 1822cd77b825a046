import { isDeepStrictEqual } from 'node:util';
import type { ClusterSpec } from '../config/schema.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { apiserverService } from '../plane/addresses.ts';
import { buildServices } from '../plane/services.ts';

/**
 * Lets the API server's service lead to a pod that is not Ready, while there is no better one, or to Ready pods alone
 * (docs/adr/0004-not-ready-addresses.md).
 */
export async function publishNotReady(
  cluster: InfraCluster,
  planeId: string,
  spec: ClusterSpec,
  starting: boolean,
): Promise<void> {
  const otherwise = buildServices(planeId, spec, { starting: !starting });
  const changed = buildServices(planeId, spec, { starting }).filter(
    (service, index) => !isDeepStrictEqual(service, otherwise[index]),
  );
  await Promise.all(changed.map((service) => cluster.apply(service)));
}

/** Gives back what a service had for a change alone: an earlier node port, a load balancer that nobody dials any more. */
export async function settleService(cluster: InfraCluster, planeId: string, spec: ClusterSpec): Promise<void> {
  await cluster.apply(buildServices(planeId, spec).find(({ metadata }) => metadata.name === apiserverService)!);
}
