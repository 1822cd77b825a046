import { isIpv4 } from '../base/cidr.ts';
import { UserError } from '../base/errors.ts';
import { again, type Words, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { ClusterSpec } from '../config/schema.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Service } from '../kube/objects.ts';
import { addressesBehind, balancedAt, saidOfBalancer } from '../live/load-balancer.ts';
import { apiserverService, loadBalancerIp } from '../plane/addresses.ts';
import { exposureOf } from '../plane/exposures/table.ts';
import { type Wait, waitFor } from '../ui/wait-for.ts';
import type { Work } from '../ui/work.ts';

/** Milliseconds between two looks at what the controller says. */
const lookEvery = 1000;

/**
 * The services once the load balancer has given the API server's its address: people dial it with --expose loadbalancer, and with
 * --in-cluster loadbalancer the API server has to publish it.
 *
 * @param otherWay the plane is reached in another way until now, which ends with this deploy: HOST has to lead to the load balancer first
 * @throws UserError `no-load-balancer` when it gives a name where an address is needed, or nothing in time, and `host` when HOST is
 * another address
 */
export async function untilBalanced(
  cluster: InfraCluster,
  spec: ClusterSpec,
  services: Service[],
  otherWay: boolean,
  work: Work,
): Promise<Service[]> {
  const settled = await untilGiven(cluster, spec, services, work);
  if (spec.expose === 'loadbalancer')
    await checkHost(
      spec.host,
      balancedAt(settled.find(isApiServers)!),
      otherWay && cluster.hostedBy !== 'service',
      work,
    );
  return settled;
}

const isApiServers = ({ metadata }: Service): boolean => metadata.name === apiserverService;

async function untilGiven(
  cluster: InfraCluster,
  spec: ClusterSpec,
  services: Service[],
  { reporter, timeout, signal }: Work,
): Promise<Service[]> {
  let now = services;
  let said: string | undefined;
  let looked = performance.now();
  const ask = async () => {
    const service = now.find(isApiServers)!;
    const [first] = balancedAt(service);
    const named = first !== undefined && loadBalancerIp(service) === undefined;
    if (named && spec.inCluster === 'loadbalancer')
      throw noLoadBalancer(
        cluster.namespace,
        `its load balancer has a name, ${first}, and endpoints of the service kubernetes can only be addresses`,
      );
    if (first !== undefined) return now;
    if (performance.now() - looked > lookEvery) {
      looked = performance.now();
      said = await saidOfBalancer(cluster, service);
    }
    now = await Promise.all(
      services.map(async (each) => (await cluster.get<Service>(each, each.metadata.name)) ?? each),
    );
    return undefined;
  };
  return reporter.during('Waiting for the load balancer of service "apiserver"', (phase) =>
    waitFor({
      until: ask,
      now: () => said ?? '',
      phase,
      every: 100,
      timeout,
      signal,
      late: (after) => noLoadBalancer(cluster.namespace, whyNone(spec, said, after)),
    }),
  );
}

function whyNone({ loadBalancerClass }: ClusterSpec, said: string | undefined, after: string): Words {
  if (said !== undefined) return `none came within ${after}; its controller says: ${said}`;
  const what =
    loadBalancerClass === undefined
      ? 'the cluster may have none'
      : words`the cluster may have none for ${field('loadBalancerClass', loadBalancerClass)}`;
  return words`no controller has given one, or has said anything about the service, for ${after}: ${what}`;
}

/** HOST is the administrator's own, who has to let it lead to the load balancer; its address is known from now on. */
async function checkHost(host: string, given: string[], waits: boolean, work: Work): Promise<void> {
  const { reporter } = work;
  const at = given.join(', ');
  if (isIpv4(host) && !given.includes(host))
    throw new UserError({
      what: `the load balancer of the service "apiserver" has the address ${at}, and ${host} is another one`,
      fix: words`give ${field('host')} that address, or a name that leads to it`,
      anchor: 'host',
    });
  let leads: string[] = [];
  const leadsThere = async () => {
    const wanted = (await Promise.all(given.map(addressesBehind))).flat();
    leads = await addressesBehind(host);
    return leads.some((each) => wanted.includes(each));
  };
  if (await leadsThere()) return reporter.line(`The load balancer is at ${at}`);
  reporter.warn(`The load balancer is at ${at}: let ${host} lead there now`);
  if (!waits) return;
  await watchHost(`Waiting until ${host} leads to ${at}`, work, {
    until: leadsThere,
    now: () => `it leads to ${leads.join(', ') || 'nothing'}; the plane is reached as before meanwhile`,
    late: (after) =>
      new UserError({
        what: `${host} has not come to lead to the load balancer at ${at} within ${after}`,
        why: `on this machine it leads to ${leads.join(', ') || 'nothing'}; nothing that leads to the plane was taken away`,
        fix: words`let ${host} lead there (DNS), and ${again}; or stay with the earlier ${field('expose')}`,
        anchor: 'host',
      }),
  });
}

/**
 * Waits until HOST does not lead to the load balancer any more, which goes after that.
 *
 * @throws UserError `host` where it still does after the time limit: the load balancer stays
 */
export async function untilHostLeft(cluster: InfraCluster, spec: ClusterSpec, work: Work): Promise<void> {
  const { reporter } = work;
  const { host } = spec;
  const service = await cluster.get<Service>({ apiVersion: 'v1', kind: 'Service' }, apiserverService);
  const given = service ? balancedAt(service) : [];
  const to = exposureOf(spec).leadsTo;
  if (given.length === 0 || to === undefined || cluster.hostedBy === 'service') return;
  const at = given.join(', ');
  const hasLeft = async () => {
    const [leads, left] = await Promise.all([addressesBehind(host), Promise.all(given.map(addressesBehind))]);
    return leads.length > 0 && !leads.some((each) => left.flat().includes(each));
  };
  if (await hasLeft()) return;
  reporter.warn(`${host} leads to the load balancer at ${at}, which is to go: let it lead to ${to} now`);
  await watchHost(`Waiting until ${host} leads to ${to}`, work, {
    until: hasLeft,
    now: () => 'the plane is reached by the load balancer meanwhile',
    late: (after) =>
      new UserError({
        what: `${host} still leads to the load balancer at ${at} after ${after}`,
        why: 'so the load balancer stays, and the plane is reached as before',
        fix: words`let ${host} lead to ${to} (DNS), and ${again}`,
        anchor: 'host',
      }),
  });
}

/** Looks once a second, within the time limit of the work. */
async function watchHost(
  title: string,
  { reporter, timeout, signal }: Work,
  look: Pick<Wait<boolean>, 'until' | 'now' | 'late'>,
): Promise<void> {
  await reporter.during(title, (phase) => waitFor({ ...look, phase, every: 1000, timeout, signal }));
}

function noLoadBalancer(namespace: string, why: Words): UserError {
  return new UserError({
    what: 'the infra cluster gives the service "apiserver" no address of a load balancer',
    why,
    fix: words`look at: kubectl -n ${namespace} describe service apiserver; or choose another ${field('expose')} and ${field('inCluster')}, which need none`,
    anchor: 'no-load-balancer',
  });
}
