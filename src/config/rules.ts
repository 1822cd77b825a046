import { contains, isIpv4, overlaps, parseCidr } from '../base/cidr.ts';
import type { ClusterSpec } from './schema.ts';
import { isTested, knownMinor, knownMinors, resolveVersion } from './versions.ts';

/** The problems between fields that are valid by themselves, one sentence each. Pure. */
export function problemsBetween(spec: ClusterSpec): string[] {
  const problems: string[] = [];
  const services = parseCidr(spec.serviceCidr)!;
  const pods = parseCidr(spec.podCidr)!;
  if (overlaps(services, pods))
    problems.push(`--service-cidr ${spec.serviceCidr} and --pod-cidr ${spec.podCidr} overlap`);
  for (const [name, network] of [
    ['--service-cidr', services],
    ['--pod-cidr', pods],
  ] as const) {
    if (contains(network, spec.host))
      problems.push(`--host ${spec.host} lies inside ${name} ${network.text}, so workers could not reach it`);
  }
  if (spec.konnectivityEndpoint !== undefined && spec.egress !== 'konnectivity')
    problems.push(`--konnectivity-endpoint has no use with --egress ${spec.egress}: leave one of them out`);
  if (spec.auditPolicy && !spec.audit)
    problems.push('--audit-policy and --no-audit contradict each other: leave one of them out');
  if (isIpv4(spec.host) && spec.expose === 'ingress')
    problems.push(
      `--host ${spec.host} is an address, and an ingress needs a host name: give a name, or --expose nodeport`,
    );
  if (
    spec.expose === 'nodeport' &&
    spec.port !== undefined &&
    spec.nodePort !== undefined &&
    spec.port !== spec.nodePort &&
    spec.workerEndpoint === undefined
  )
    problems.push(
      `--port ${spec.port} and --node-port ${spec.nodePort} differ, but with --expose nodeport they are the same thing`,
    );
  if (spec.etcdStorage === 'ephemeral' && spec.etcdMembers > 1)
    problems.push(
      `--etcd-members ${spec.etcdMembers} needs volumes, and --etcd-storage is ephemeral: a member that lost its data with its pod must not vote as if it still had them. Give --etcd-storage SIZE for a new plane; docs/durability.md says how an existing plane gets volumes`,
    );
  if (spec.etcdStorage === 'ephemeral' && spec.etcdStorageClass !== undefined)
    problems.push('--etcd-storage-class has no use with --etcd-storage ephemeral: leave one of them out');
  const resolved = resolveVersion(spec.kubernetesVersion)!;
  if (!isTested(resolved) && !spec.allowUntestedVersion) {
    const known = knownMinor(resolved);
    problems.push(
      `--kubernetes-version ${resolved} was not tested with this k8sk8s (${known ? `of ${known.minor} it knows ${known.patch}` : `it knows ${knownMinors.map((each) => each.patch).join(', ')}`}); add --allow-untested-version to try it anyway`,
    );
  }
  return problems;
}
