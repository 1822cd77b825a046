import { lookup } from 'node:dns/promises';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { contains, isIpv4, networksIn } from '../base/cidr.ts';
import { words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { Service } from '../kube/objects.ts';
import { exposureOf } from '../plane/exposures/table.ts';
import { askedOnce, type DeployCheck, type Outcome, ok } from './check.ts';
import { namespacePods, trialServices } from './trials.ts';

/** Time limit of the system's resolver, in milliseconds: its own limits are tens of seconds. */
const resolverLimit = 3000;

/** The addresses of the API server's host, or why there is none. Asked once, because a resolver that hangs would hang for each check. */
const hostAddresses = askedOnce(({ spec }) => resolved(spec.host));

async function resolved(name: string): Promise<{ addresses: string[]; problem?: string }> {
  if (isIpv4(name)) return { addresses: [name] };
  const timeout = new AbortController();
  // If the box was too busy to run this process, the answer may have come meanwhile: the next turn of the event loop sees it.
  const late = sleep(resolverLimit, undefined, { ref: false, signal: timeout.signal })
    .then(() => nextTurn(undefined))
    .catch(() => undefined);
  const found = await Promise.race([lookup(name, { all: true }).catch((error: NodeJS.ErrnoException) => error), late]);
  timeout.abort();
  if (found === undefined)
    return {
      addresses: [],
      problem: `the resolver of this machine gave no answer within ${resolverLimit / 1000} s`,
    };
  if (found instanceof Error) return { addresses: [], problem: resolverWords(found.code ?? found.message) };
  return { addresses: found.map(({ address }) => address) };
}

function resolverWords(code: string): string {
  if (code === 'ENOTFOUND') return 'the resolver of this machine does not know the name';
  if (code === 'EAI_AGAIN') return 'the DNS server of this machine does not answer';
  return `the resolver of this machine says ${code}`;
}

export const host: DeployCheck = {
  name: 'host',
  claim: ({ spec }) => `API server host ${spec.host} resolves`,
  anchor: 'host',
  severity: 'fatal',
  applies: ({ spec }) => exposureOf(spec).leadsTo !== undefined,
  async probe(context) {
    const { spec } = context;
    if (isIpv4(spec.host)) return ok(`API server host ${spec.host} is an address`);
    const { problem } = await hostAddresses(context);
    const target = exposureOf(spec).leadsTo;
    if (problem === undefined) return ok();
    if (spec.expose === 'loadbalancer')
      return { state: 'unknown', why: `${problem}; deploy says the address of ${target} as soon as there is one` };
    if (context.cluster.hostedBy === 'service')
      return {
        state: 'unknown',
        why: `${problem}, which need not know it: hosted API servers are dialled by their services`,
      };
    return {
      state: 'failed',
      what: `the host ${spec.host} does not resolve`,
      why: problem,
      fix: `make the name lead to ${target} (DNS, or a line in the hosts file), here and on every worker`,
    };
  },
};

/** Workers resolve it, and this machine need not; but who has forgotten the name learns it before the workers wait for it. */
export const tunnelHost: DeployCheck = {
  name: 'tunnel-host',
  claim: ({ spec }) => `The name of the tunnels, ${spec.tunnelHost}, leads where ${spec.host} leads`,
  anchor: 'tunnel-host',
  severity: 'warning',
  dependsOn: ['host'],
  applies: ({ spec }) => spec.tunnelHost !== undefined,
  async probe(context) {
    const name = context.spec.tunnelHost!;
    const { addresses, problem } = await resolved(name);
    const fix = words`make the name lead to ${exposureOf(context.spec).leadsTo ?? 'the plane'} on every worker, as ${context.spec.host} does`;
    if (problem !== undefined)
      return { state: 'failed', what: words`${field('tunnelHost', name)} does not resolve`, why: problem, fix };
    const hosts = (await hostAddresses(context)).addresses;
    if (addresses.some((address) => hosts.includes(address))) return ok();
    return {
      state: 'failed',
      what: words`${field('tunnelHost', name)} leads to another address than ${field('host', context.spec.host)}`,
      why: `${name} is ${addresses.join(', ')}, and ${context.spec.host} is ${hosts.join(', ')}`,
      fix,
    };
  },
};

export const networks: DeployCheck = {
  name: 'networks',
  claim: ({ spec }) => `Networks ${spec.serviceCidr} and ${spec.podCidr} collide with no address seen here`,
  anchor: 'networks',
  severity: 'fatal',
  async probe(context): Promise<Outcome> {
    const { spec } = context;
    const [{ addresses }, pods] = await Promise.all([hostAddresses(context), namespacePods(context)]);
    const worker = spec.workerEndpoint && new URL(spec.workerEndpoint).hostname;
    const seen = [
      ...addresses.map((address) => ({ address, what: `the address of ${spec.host}` })),
      ...(worker ? [{ address: worker, what: words`the address of ${field('workerEndpoint')}` }] : []),
      ...pods.flatMap(({ status }) => (status?.hostIP ? [{ address: status.hostIP, what: 'an infra node' }] : [])),
    ];
    for (const range of ['serviceCidr', 'podCidr'] as const) {
      const clash = seen.find(({ address }) => networksIn(spec[range]).some((network) => contains(network!, address)));
      if (clash)
        return {
          state: 'failed',
          what: words`${field(range, spec[range])} contains ${clash.address}, ${clash.what}`,
          why: 'workers would look for this address inside of the hosted cluster, where it does not exist',
          fix: words`choose another ${field(range)}`,
        };
    }
    return ok();
  },
};

export const infraServices: DeployCheck = {
  name: 'infra-services',
  claim: () => 'The hosted services have addresses of their own',
  anchor: 'infra-service-range',
  severity: 'warning',
  dependsOn: ['namespace'],
  async probe(context) {
    const trials = await trialServices(context);
    const address =
      trials.find(({ admitted }) => admitted)?.admitted?.spec.clusterIP ??
      (await context.existing()).ofKind<Service>('Service')[0]?.spec.clusterIP;
    if (!address) return { state: 'unknown', why: 'the infra cluster does not show its service range' };
    return networksIn(context.spec.serviceCidr).some((network) => contains(network!, address))
      ? {
          state: 'failed',
          what: words`${field('serviceCidr', context.spec.serviceCidr)} is also the infra cluster's service range (it gives out ${address})`,
          why: 'an address in this range can mean a service of either cluster for the API server',
          fix: words`choose another ${field('serviceCidr')} if webhooks or aggregated APIs of the hosted cluster must work`,
        }
      : ok();
  },
};
