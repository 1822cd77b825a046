import { contains, networksIn, overlaps } from '../base/cidr.ts';
import { type Words, words } from '../base/words.ts';
import { field } from './flags.ts';
import type { ClusterSpec } from './schema.ts';

const flannelOptions = ['flannelMtu', 'flannelPort', 'flannelInterface'] as const;

/** Whether Services and pods of the hosted cluster have IPv6 addresses beside their IPv4 ones. Pure. */
export function isDualStack({ podCidr }: Pick<ClusterSpec, 'podCidr'>): boolean {
  return networksIn(podCidr).length > 1;
}

/** What is wrong with the addresses of the hosted cluster, a sentence each. Pure. */
export function addressProblems(spec: ClusterSpec): Words[] {
  const { host, serviceCidr, podCidr } = spec;
  const problems: Words[] = [];
  const [services, pods] = [networksIn(serviceCidr), networksIn(podCidr)];
  if (services.some((network) => pods.some((other) => overlaps(network!, other!))))
    problems.push(words`${field('serviceCidr', serviceCidr)} and ${field('podCidr', podCidr)} overlap`);
  for (const [name, [first]] of [
    ['serviceCidr', services],
    ['podCidr', pods],
  ] as const) {
    if (contains(first, host))
      problems.push(
        words`${field('host', host)} lies inside ${field(name, first.text)}, so workers could not reach it`,
      );
  }
  if (services.length !== pods.length)
    problems.push(
      words`${field('serviceCidr', serviceCidr)} and ${field('podCidr', podCidr)}: one of them has an IPv6 network, and the other has none. Services and pods have the same families`,
    );
  return [...problems, ...dualStackProblems(spec)];
}

/** What has IPv4 addresses alone, and why. */
function dualStackProblems(spec: ClusterSpec): Words[] {
  if (!isDualStack(spec)) return [];
  const problems: Words[] = [];
  const pods = field('podCidr', spec.podCidr);
  if (spec.network === 'cilium')
    problems.push(
      words`${field('network', spec.network)} and ${pods} contradict each other: Cilium's manifests are made for IPv4 alone. Give ${field('network', 'flannel')}, or leave the IPv6 networks out`,
    );
  if (spec.egress === 'konnectivity')
    problems.push(
      words`${field('egress', spec.egress)} and ${pods} contradict each other: nobody has tried its agents with IPv6 addresses. Give ${field('egress', 'kubelet')}, or leave the IPv6 networks out`,
    );
  if (spec.workerPods > 0)
    problems.push(
      words`${field('workerPods', spec.workerPods)} and ${pods} contradict each other: a worker pod has the one address that the infra cluster gives it. Let machines join, or leave the IPv6 networks out`,
    );
  return problems;
}

/** What is wrong with the network of pods and its options, a sentence each. Pure. */
export function networkProblems(spec: ClusterSpec): Words[] {
  const problems: Words[] = [];
  const given = flannelOptions.filter((name) => spec[name] !== undefined);
  if (spec.network !== 'flannel')
    for (const name of given) problems.push(words`${field(name)} has no use with ${field('network', spec.network)}`);
  if (spec.network === 'manifest' && spec.networkManifest === undefined)
    problems.push(words`${field('network', 'manifest')} needs ${field('networkManifest', 'FILE')}`);
  if (spec.flannelBackend === 'host-gw' && spec.flannelPort !== undefined)
    problems.push(
      words`${field('flannelPort')} has no use with ${field('flannelBackend', 'host-gw')}, which sends no packets inside of others: leave one of them out`,
    );
  return problems;
}
