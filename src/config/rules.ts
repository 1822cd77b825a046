import { isIpv4 } from '../base/cidr.ts';
import { type Words, words } from '../base/words.ts';
import { auditProblems } from './audit.ts';
import { authorizationProblems } from './authorization.ts';
import { isRoutedByName, namesRoutedByName } from './exposure.ts';
import { field } from './flags.ts';
import { identityProblems } from './identity.ts';
import { isComplete } from './images.ts';
import { addressProblems, networkProblems } from './network.ts';
import type { ClusterSpec } from './schema.ts';
import { isTested, knownMinor, knownMinors, minorNumber, resolveVersion } from './versions.ts';

/** The problems between fields that are valid by themselves, one sentence each. Pure. */
export function problemsBetween(spec: ClusterSpec): Words[] {
  const problems = addressProblems(spec);
  if (spec.konnectivityEndpoint !== undefined && spec.egress !== 'konnectivity')
    problems.push(
      words`${field('konnectivityEndpoint')} has no use with ${field('egress', spec.egress)}: leave one of them out`,
    );
  if (spec.auditPolicy && !spec.audit)
    problems.push(words`${field('auditPolicy')} and ${field('audit')} contradict each other: leave one of them out`);
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
  problems.push(
    ...exposureProblems(spec),
    ...tunnelProblems(spec),
    ...nodePortProblems(spec),
    ...workerPodProblems(spec),
    ...identityProblems(spec),
    ...authorizationProblems(spec),
    ...networkProblems(spec),
    ...auditProblems(spec),
  );
  const named = spec.allowEgress.find((target) => !target.includes('/') && !isIpv4(target.replace(/:\d+$/, '')));
  if (spec.policyTypes === 'Ingress,Egress' && named !== undefined)
    problems.push(
      words`${field('allowEgress', named)} is a name, and with ${field('policyTypes', spec.policyTypes)} it has to be a network: a NetworkPolicy knows no names`,
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

/** What each way to expose a plane needs, and what it has no use for. */
function exposureProblems(spec: ClusterSpec): Words[] {
  const { expose, host, moreHosts, gateway, loadBalancerClass, inCluster } = spec;
  const problems: Words[] = [];
  const address = isRoutedByName(spec) && [host, ...moreHosts].find(isIpv4);
  if (address)
    problems.push(
      words`${field(address === host ? 'host' : 'moreHosts', address)} is an address, and ${field('expose', expose)} needs a host name: give a name, or ${field('expose', 'nodeport')}`,
    );
  if (expose === 'gateway' && gateway === undefined)
    problems.push(
      words`${field('expose', 'gateway')} needs ${field('gateway', 'NAMESPACE/NAME')}: the administrator of the infra cluster knows its Gateways`,
    );
  if (expose !== 'gateway' && gateway !== undefined)
    problems.push(
      words`${field('gateway', gateway)} has no use without ${field('expose', 'gateway')}: leave it out, or add the other`,
    );
  if (loadBalancerClass !== undefined && inCluster !== 'loadbalancer' && expose !== 'loadbalancer')
    problems.push(
      words`${field('loadBalancerClass')} has no use without ${field('expose', 'loadbalancer')} or ${field('inCluster', 'loadbalancer')}: leave it out, or add one of them`,
    );
  return problems;
}

/** Workers dial the name of the tunnel, at which something that reads names in the TLS hello tells it from HOST. */
function tunnelProblems(spec: ClusterSpec): Words[] {
  const { tunnelHost, host, moreHosts, expose, egress, inCluster } = spec;
  if (tunnelHost === undefined) return [];
  const tunnel = field('tunnelHost', tunnelHost);
  const problems: Words[] = [];
  if (!isRoutedByName(spec))
    problems.push(
      words`${tunnel} does not go with ${field('expose', expose)}, which leads everything to the API server whatever name is asked for: expose the plane by ${namesRoutedByName}, or leave it out`,
    );
  if (isIpv4(tunnelHost)) problems.push(words`${tunnel} is an address, and it has to be a name`);
  if ([host, ...moreHosts].includes(tunnelHost))
    problems.push(words`${tunnel} is a name of the API server already: the tunnel needs one of its own`);
  if (egress === 'konnectivity')
    problems.push(
      words`${tunnel} and ${field('egress', egress)} contradict each other: konnectivity has tunnels of its own. Leave one of them out`,
    );
  if (inCluster === 'clusterip')
    problems.push(
      words`${tunnel} and ${field('inCluster', inCluster)} contradict each other: no worker outside of the infra cluster reaches that address. Give ${field('inCluster', 'loopback')}, with which pods of such workers reach the API by the tunnel's name, or node`,
    );
  return problems;
}

/** Without node ports something else has to lead to the API server. */
function nodePortProblems(spec: ClusterSpec): Words[] {
  if (spec.allocateNodePorts) return [];
  const without = field('allocateNodePorts');
  if (spec.expose === 'nodeport') return [words`${without} and ${field('expose', 'nodeport')} contradict each other`];
  if (spec.nodePort !== undefined)
    return [words`${without} and ${field('nodePort', spec.nodePort)} contradict each other: leave one of them out`];
  if (spec.inCluster === 'node')
    return [
      words`${without} leaves pods on the workers without a way to the API server: give ${field('inCluster', 'loadbalancer')}, ${field('inCluster', 'clusterip')} where all workers are pods, or ${field('inCluster', 'loopback')} with ${field('workerEndpoint')}`,
    ];
  if (spec.inCluster === 'loopback' && spec.workerEndpoint === undefined && spec.tunnelHost === undefined)
    return [
      words`${without} with ${field('inCluster', 'loopback')} needs ${field('tunnelHost')} or ${field('workerEndpoint')}: an address that leads to port 443 of the service apiserver whatever name is asked for`,
    ];
  if (spec.inCluster === 'loopback' && spec.egress === 'konnectivity' && spec.konnectivityEndpoint === undefined)
    return [words`${without} with ${field('egress', 'konnectivity')} needs ${field('konnectivityEndpoint')}`];
  return [];
}

function workerPodProblems(spec: ClusterSpec): Words[] {
  const { workerPods, workerImage, workerStorage, workerStorageClass, inCluster } = spec;
  const problems = workerVersionProblems(spec);
  if (workerStorageClass !== undefined && workerStorage === undefined)
    problems.push(words`${field('workerStorageClass')} has no use without ${field('workerStorage')}`);
  if (
    spec.workerProxyExceptions !== undefined &&
    spec.workerHttpProxy === undefined &&
    spec.workerHttpsProxy === undefined
  )
    problems.push(
      words`${field('workerProxyExceptions')} has no use without ${field('workerHttpProxy')} or ${field('workerHttpsProxy')}`,
    );
  if (workerPods === 0) return problems;
  if (workerImage === undefined)
    problems.push(
      words`${field('workerPods', workerPods)} needs ${field('workerImage')}: nobody publishes one; Dockerfile.worker makes it`,
    );
  if (inCluster === 'loopback')
    problems.push(
      words`${field('workerPods', workerPods)} and ${field('inCluster', inCluster)} contradict each other: a worker pod has no relay. Give ${field('inCluster', 'clusterip')}, node or loadbalancer`,
    );
  return problems;
}

/** Kubernetes supports kubelets of the API server's minor and of three before it. */
function workerVersionProblems({ workerVersion, workerImage, kubernetesVersion }: ClusterSpec): Words[] {
  if (workerVersion === undefined) return [];
  if (workerImage !== undefined && isComplete(workerImage))
    return [
      words`${field('workerVersion', workerVersion)} and ${field('workerImage', workerImage)} contradict each other: the tag of the image says the version. Leave one of them out`,
    ];
  const behind = minorNumber(kubernetesVersion) - minorNumber(workerVersion);
  if (behind >= 0 && behind <= 3) return [];
  return [
    words`${field('workerVersion', workerVersion)} does not go with ${field('kubernetesVersion', kubernetesVersion)}: a kubelet may be up to three minors older than the API server, and never newer`,
  ];
}
