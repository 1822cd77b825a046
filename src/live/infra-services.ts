import { isNetwork } from '../base/cidr.ts';
import { ApiError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Service } from '../kube/objects.ts';

/** Of a network for documentation (RFC 5737): no cluster has services there. */
const impossible = '203.0.113.1';

/**
 * The networks in which the infra cluster gives its services addresses: whoever asks for an address that is in none of them is
 * told, by a dry run as well.
 *
 * @returns networks in CIDR form; undefined where the answer names none
 */
export async function infraServiceNetworks(cluster: InfraCluster): Promise<string[] | undefined> {
  const service: Service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'k8sk8s-service-range' },
    spec: { clusterIP: impossible, ports: [{ port: 443 }] },
  };
  try {
    await cluster.create(service, { dryRun: true });
    return undefined;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const networks = (error.message.match(/[\da-f.:]+\/\d+/gi) ?? []).filter(isNetwork);
    return networks.length > 0 ? [...new Set(networks)] : undefined;
  }
}
