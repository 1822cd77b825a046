import type { ApiError } from '../kube/errors.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';
import { type KubeObject, nameOf, type Service } from '../kube/objects.ts';

/** What sets an address of the service network aside (https://kubernetes.io/docs/reference/kubernetes-api/networking/ip-address-v1/). */
interface IpAddress extends KubeObject {
  spec: { parentRef?: { resource: string; namespace?: string; name: string } };
}

const ipAddress = { apiVersion: 'networking.k8s.io/v1', kind: 'IPAddress' };

/** Whether a Service was refused because of the address that it asks for. */
export const isAddressTaken = ({ status, message }: ApiError): boolean =>
  status === 422 && /IP is already allocated/.test(message);

/**
 * Gives back an address that is set aside for the Service that asks for it, and which is not there: a create whose client was
 * killed may leave it so. The API server finds that too, but only after some minutes (the repair loop of
 * pkg/registry/core/service/ipallocator/controller in k8s.io/kubernetes).
 *
 * @returns who else has the address; undefined when it is free, or soon will be
 */
export async function freeAddress(cluster: HostedCluster, wanted: Service): Promise<string | undefined> {
  const address = wanted.spec.clusterIP!;
  const parent = (await cluster.get<IpAddress>(ipAddress, address))?.spec.parentRef;
  if (!parent) return undefined;
  const { name, namespace } = wanted.metadata;
  if (parent.resource !== 'services' || parent.name !== name || parent.namespace !== namespace)
    return `${nameOf({ kind: parent.resource.replace(/s$/, ''), metadata: parent })} of namespace "${parent.namespace}"`;
  if (!(await cluster.get(wanted, name, namespace))) await cluster.delete(ipAddress, address);
  return undefined;
}
