import { lookup } from 'node:dns/promises';
import { isIpv4 } from '../base/cidr.ts';
import { UserError } from '../base/errors.ts';
import { words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { ClusterSpec } from '../config/schema.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Service } from '../kube/objects.ts';
import { loadBalancerIp } from '../plane/addresses.ts';
import type { Reporter } from '../ui/reporter.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Work } from '../ui/work.ts';

/**
 * The services once the load balancer has given the API server's its address: people dial it with --expose loadbalancer, and with
 * --in-cluster loadbalancer the API server has to publish it.
 *
 * @throws UserError `no-load-balancer` when it gives a name where an address is needed, or nothing in time, and `host` when HOST is
 * another address
 */
export async function untilBalanced(
  cluster: InfraCluster,
  spec: ClusterSpec,
  services: Service[],
  { reporter, timeout, signal }: Work,
): Promise<Service[]> {
  let now = services;
  const ask = async () => {
    const given = now.flatMap(({ status }) => status?.loadBalancer?.ingress ?? []);
    const named = given.find(({ hostname }) => hostname);
    if (named && spec.inCluster === 'loadbalancer')
      throw noLoadBalancer(
        cluster.namespace,
        `its load balancer has a name, ${named.hostname}, and endpoints of the service kubernetes can only be addresses`,
      );
    if (named || now.some(loadBalancerIp)) {
      if (spec.expose === 'loadbalancer')
        await checkHost(
          spec.host,
          given.map(({ ip, hostname }) => ip ?? hostname ?? ''),
          reporter,
        );
      return now;
    }
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

/** HOST is the administrator's own, who has to let it lead to the load balancer; its address is known from now on. */
async function checkHost(host: string, given: string[], reporter: Reporter): Promise<void> {
  if (isIpv4(host) && !given.includes(host))
    throw new UserError({
      what: `the load balancer of the service "apiserver" has the address ${given.join(', ')}, and ${host} is another one`,
      fix: words`give ${field('host')} that address, or a name that leads to it`,
      anchor: 'host',
    });
  const leads = isIpv4(host) ? [host] : await addressesBehind(host);
  const wanted = (await Promise.all(given.map((each) => (isIpv4(each) ? [each] : addressesBehind(each))))).flat();
  if (leads.some((each) => wanted.includes(each))) reporter.line(`The load balancer is at ${given.join(', ')}`);
  else reporter.warn(`The load balancer is at ${given.join(', ')}: let ${host} lead there now`);
}

function addressesBehind(name: string): Promise<string[]> {
  return lookup(name, { all: true }).then(
    (found) => found.map(({ address }) => address),
    () => [],
  );
}

function noLoadBalancer(namespace: string, why: string): UserError {
  return new UserError({
    what: 'the infra cluster gives the service "apiserver" no address of a load balancer',
    why,
    fix: words`look at: kubectl -n ${namespace} describe service apiserver; or choose another ${field('expose')} and ${field('inCluster')}, which need none`,
    anchor: 'no-load-balancer',
  });
}
