import { lookup } from 'node:dns/promises';
import { isIpv4 } from '../base/cidr.ts';
import { isForbidden } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Event, Service } from '../kube/objects.ts';
import { newestFirst } from './pod-problems.ts';

/** Addresses and names that a load balancer shows in the status of a service. Pure. */
export function balancedAt({ status }: Service): string[] {
  return (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }) => ip ?? hostname ?? []);
}

/** IPv4 addresses, as this machine resolves the name; none where it does not. */
export function addressesBehind(name: string): Promise<string[]> {
  if (isIpv4(name)) return Promise.resolve([name]);
  return lookup(name, { all: true }).then(
    (found) => found.map(({ address }) => address),
    () => [],
  );
}

/**
 * The last word of a load balancer's controller about a service: the newest event of it, or a condition that is not met, as Cilium's
 * address pools set one.
 *
 * @returns undefined where nobody has said anything, or where events may not be read
 */
export async function saidOfBalancer(cluster: InfraCluster, service: Service): Promise<string | undefined> {
  const now = await cluster.get<Service>(service, service.metadata.name);
  const unmet = now?.status?.conditions?.find(({ status }) => status === 'False');
  if (unmet) return [unmet.reason ?? unmet.type, unmet.message].filter(Boolean).join(': ');
  const { name, uid } = service.metadata;
  try {
    const fieldSelector = `involvedObject.kind=Service,involvedObject.name=${name}`;
    const { items } = await cluster.list<Event>({ apiVersion: 'v1', kind: 'Event' }, { fieldSelector });
    const [last] = newestFirst(items.filter(({ involvedObject }) => involvedObject.uid === uid));
    return last && `${last.reason}: ${(last.message ?? '').split('\n')[0]}`;
  } catch (error) {
    if (isForbidden(error)) return undefined;
    throw error;
  }
}
