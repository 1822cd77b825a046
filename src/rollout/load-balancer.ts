import { UserError } from '../base/errors.ts';
import { words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Service } from '../kube/objects.ts';
import { loadBalancerIp } from '../plane/addresses.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Work } from '../ui/work.ts';

/**
 * The services once the load balancer has given the API server's its address, which the API server has to publish.
 *
 * @throws UserError `no-load-balancer` when it gives a name in place of an address, or nothing in time
 */
export async function untilBalanced(
  cluster: InfraCluster,
  services: Service[],
  { reporter, timeout, signal }: Work,
): Promise<Service[]> {
  let now = services;
  const ask = async () => {
    const hostname = now.flatMap(({ status }) => status?.loadBalancer?.ingress ?? []).find((each) => each.hostname);
    if (hostname)
      throw noLoadBalancer(
        cluster.namespace,
        `its load balancer has a name, ${hostname.hostname}, and endpoints of the service kubernetes can only be addresses`,
      );
    if (now.some(loadBalancerIp)) return now;
    now = await Promise.all(
      services.map(async (each) => (await cluster.get<Service>(each, each.metadata.name)) ?? each),
    );
    return undefined;
  };
  return reporter.during('Waiting for the load balancer of service "apiserver"', () =>
    waitFor({
      until: ask,
      every: 100,
      timeout,
      signal,
      late: (after) =>
        noLoadBalancer(
          cluster.namespace,
          `none came within ${after}: the cluster may have no load balancer, or no address left`,
        ),
    }),
  );
}

function noLoadBalancer(namespace: string, why: string): UserError {
  return new UserError({
    what: 'the infra cluster gives the service "apiserver" no address of a load balancer',
    why,
    fix: words`look at: kubectl -n ${namespace} describe service apiserver; or use ${field('inCluster', 'node')} or loopback, which need none`,
    anchor: 'no-load-balancer',
  });
}
