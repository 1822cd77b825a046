import { contains, isIpv4, overlaps, parseCidr } from '../base/cidr.ts';
import { type Words, words } from '../base/words.ts';
import { field } from './flags.ts';
import type { ClusterSpec } from './schema.ts';
import { isTested, knownMinor, knownMinors, resolveVersion } from './versions.ts';

/** The problems between fields that are valid by themselves, one sentence each. Pure. */
export function problemsBetween(spec: ClusterSpec): Words[] {
  const problems: Words[] = [];
  const services = parseCidr(spec.serviceCidr)!;
  const pods = parseCidr(spec.podCidr)!;
  if (overlaps(services, pods))
    problems.push(words`${field('serviceCidr', spec.serviceCidr)} and ${field('podCidr', spec.podCidr)} overlap`);
  for (const [name, network] of [
    ['serviceCidr', services],
    ['podCidr', pods],
  ] as const) {
    if (contains(network, spec.host))
      problems.push(
        words`${field('host', spec.host)} lies inside ${field(name, network.text)}, so workers could not reach it`,
      );
  }
  if (spec.konnectivityEndpoint !== undefined && spec.egress !== 'konnectivity')
    problems.push(
      words`${field('konnectivityEndpoint')} has no use with ${field('egress', spec.egress)}: leave one of them out`,
    );
  if (spec.auditPolicy && !spec.audit)
    problems.push(words`${field('auditPolicy')} and ${field('audit')} contradict each other: leave one of them out`);
  if (isIpv4(spec.host) && spec.expose === 'ingress')
    problems.push(
      words`${field('host', spec.host)} is an address, and an ingress needs a host name: give a name, or ${field('expose', 'nodeport')}`,
    );
  if (
    spec.expose === 'nodeport' &&
    spec.port !== undefined &&
    spec.nodePort !== undefined &&
    spec.port !== spec.nodePort &&
    spec.workerEndpoint === undefined
  )
    problems.push(
      words`${field('port', spec.port)} and ${field('nodePort', spec.nodePort)} differ, but with ${field('expose', 'nodeport')} they are the same thing`,
    );
  if (spec.etcdStorage === 'ephemeral' && spec.etcdMembers > 1)
    problems.push(
      words`${field('etcdMembers', spec.etcdMembers)} needs volumes, and ${field('etcdStorage')} is ephemeral: a member that lost its data with its pod must not vote as if it still had them. Give ${field('etcdStorage', 'SIZE')} for a new plane; docs/durability.md says how an existing plane gets volumes`,
    );
  if (spec.etcdStorage === 'ephemeral' && spec.etcdStorageClass !== undefined)
    problems.push(
      words`${field('etcdStorageClass')} has no use with ${field('etcdStorage', 'ephemeral')}: leave one of them out`,
    );
  if (spec.loadBalancerClass !== undefined && spec.inCluster !== 'loadbalancer')
    problems.push(
      words`${field('loadBalancerClass')} has no use without ${field('inCluster', 'loadbalancer')}: leave it out, or add the other`,
    );
  const resolved = resolveVersion(spec.kubernetesVersion)!;
  if (!isTested(resolved) && !spec.allowUntestedVersion) {
    const known = knownMinor(resolved);
    problems.push(
      words`${field('kubernetesVersion', resolved)} was not tested with this k8sk8s (${known ? `of ${known.minor} it knows ${known.patch}` : `it knows ${knownMinors.map((each) => each.patch).join(', ')}`}); add ${field('allowUntestedVersion')} to try it anyway`,
    );
  }
  return problems;
}
