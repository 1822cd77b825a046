import { isDeepStrictEqual } from 'node:util';
import type { ClusterSpec } from '../config/schema.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { buildServices } from '../plane/services.ts';

/**
 * Lets the API server's service lead to a pod that is not Ready, while there is no better one, or to Ready pods alone
 * (docs/adr/0004-not-ready-addresses.md).
 */
export async function publishNotReady(
  cluster: InfraCluster,
  planeId: string,
  spec: ClusterSpec,
  opening: boolean,
): Promise<void> {
  const otherwise = buildServices(planeId, spec, { opening: !opening });
  const changed = buildServices(planeId, spec, { opening }).filter(
    (service, index) => !isDeepStrictEqual(service, otherwise[index]),
  );
  await Promise.all(changed.map((service) => cluster.apply(service)));
}
