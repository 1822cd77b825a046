import type { ApiError } from '../kube/errors.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';
import { type KubeObject, nameOf, type Service } from '../kube/objects.ts';

/** The object that reserves an address of the service network (https://kubernetes.io/docs/reference/kubernetes-api/networking/ip-address-v1/). */
interface IpAddress extends KubeObject {
  spec: { parentRef?: { resource: string; namespace?: string; name: string } };
}

const ipAddress = { apiVersion: 'networking.k8s.io/v1', kind: 'IPAddress' };

/** Whether a Service was refused because its address is taken. */
export const isAddressTaken = ({ status, message }: ApiError): boolean =>
  status === 422 && /IP is already allocated/.test(message);

/**
 * Frees an address that is reserved for a Service which does not exist: a create whose client was killed may leave such a
 * reservation. The API server frees it too, but only after some minutes (the repair loop of
 * pkg/registry/core/service/ipallocator/controller in k8s.io/kubernetes).
 *
 * @returns that another object has the address, in words; undefined when the address is free, or will be soon
 */
export async function freeAddress(cluster: HostedCluster, wanted: Service): Promise<string | undefined> {
  for (const address of addressesOf(wanted)) {
    const holder = await freeOne(cluster, wanted, address);
    if (holder !== undefined) return holder;
  }
  return undefined;
}

/** Two where a Service has both families. */
function addressesOf({ spec: { clusterIP, clusterIPs } }: Service): string[] {
  return clusterIPs ?? [clusterIP!];
}

/** @returns the other object that has it, and the address */
async function freeOne(cluster: HostedCluster, wanted: Service, address: string): Promise<string | undefined> {
  const parent = (await cluster.get<IpAddress>(ipAddress, address))?.spec.parentRef;
  if (!parent) return undefined;
  const { name, namespace } = wanted.metadata;
  if (parent.resource !== 'services' || parent.name !== name || parent.namespace !== namespace)
    return `${nameOf({ kind: parent.resource.replace(/s$/, ''), metadata: parent })} of namespace "${parent.namespace}" has the address that it needs, ${address}`;
  if (!(await cluster.get(wanted, name, namespace))) await cluster.delete(ipAddress, address);
  return undefined;
}
