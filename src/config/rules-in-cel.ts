import { namesRoutedByName, routedByNameInCel } from './exposure.ts';
import { type ClusterSpec, clusterSpec } from './schema.ts';
import { knownMinors } from './versions.ts';

/*
 * What rules.ts says of fields that are valid by themselves, and which of them cannot change, in CEL for the infra cluster's API
 * server (https://kubernetes.io/docs/reference/using-api/cel/). test/api/crd.test.ts finds what only one of the two refuses.
 */

/** A rule of a CustomResourceDefinition (x-kubernetes-validations). */
export interface CelRule {
  rule: string;
  message: string;
  reason?: 'FieldValueInvalid' | 'FieldValueForbidden';
}

/**
 * A field, or its default where it is absent; `of` is what has the field. (Of `self.?podCidr.orValue('10.2.0.0/16')` the API server
 * does not know how long it can be, and finds every rule with it too costly.)
 */
function fieldOf(field: keyof ClusterSpec, of = 'self'): string {
  const fallback = clusterSpec.shape[field].safeParse(undefined).data;
  const literal = typeof fallback === 'string' ? `'${fallback}'` : JSON.stringify(fallback);
  return `(has(${of}.${field}) ? ${of}.${field} : ${literal})`;
}

/** The first network of a field, of IPv4; `[1]` is the second one, of IPv6. */
const networkOf = (field: 'serviceCidr' | 'podCidr', at: 0 | 1) => `cidr(${fieldOf(field)}.split(',')[${at}])`;

const isDual = (field: 'serviceCidr' | 'podCidr') => `${fieldOf(field)}.contains(',')`;

const apart = (at: 0 | 1) =>
  `(!${networkOf('serviceCidr', at)}.containsCIDR(${networkOf('podCidr', at)}) && !${networkOf('podCidr', at)}.containsCIDR(${networkOf('serviceCidr', at)}))`;

const inside = (field: 'serviceCidr' | 'podCidr'): CelRule => ({
  rule: `!isIP(self.host) || !${networkOf(field, 0)}.containsIP(self.host)`,
  message: `host lies inside ${field}, so workers could not reach it`,
});

/** Of a plane that takes no node port. */
const withoutNodePorts = (rule: string) => `${fieldOf('allocateNodePorts')} || (${rule})`;

const minorOf = (version: string) => `int(${version}.split('.')[1])`;

const tested = knownMinors.flatMap(({ minor, patch }) => [minor, `v${minor}`, patch, `v${patch}`]);

/** About the spec of the object, which is `self`. */
export const rulesBetweenFields: CelRule[] = [
  {
    rule: `${apart(0)} && (!${isDual('serviceCidr')} || !${isDual('podCidr')} || ${apart(1)})`,
    message: 'serviceCidr and podCidr overlap',
  },
  {
    rule: `${isDual('serviceCidr')} == ${isDual('podCidr')}`,
    message: 'one of serviceCidr and podCidr has an IPv6 network, and the other has none',
  },
  {
    rule: `!${isDual('podCidr')} || (${fieldOf('network')} != 'cilium' && ${fieldOf('egress')} != 'konnectivity' && ${fieldOf('workerPods')} == 0)`,
    message:
      'podCidr has an IPv6 network, and network: cilium, egress: konnectivity and workerPods have IPv4 addresses alone',
  },
  inside('serviceCidr'),
  inside('podCidr'),
  {
    rule: `!has(self.konnectivityEndpoint) || ${fieldOf('egress')} == 'konnectivity'`,
    message: 'konnectivityEndpoint has no use without egress: konnectivity',
  },
  {
    rule: `!has(self.auditPolicy) || ${fieldOf('audit')}`,
    message: 'auditPolicy and audit: false contradict each other',
  },
  {
    rule: `!(${routedByNameInCel(fieldOf('expose'))}) || (!isIP(self.host) && (!has(self.moreHosts) || self.moreHosts.all(each, !isIP(each))))`,
    message: 'host or moreHosts is an address, and what expose says needs host names: give names, or expose: nodeport',
  },
  {
    rule: `!has(self.tunnelHost) || (${routedByNameInCel(fieldOf('expose'))} && !isIP(self.tunnelHost))`,
    message: `tunnelHost is a name, and needs a way of expose that goes by names: ${namesRoutedByName}`,
  },
  {
    rule: '!has(self.tunnelHost) || (self.tunnelHost != self.host && (!has(self.moreHosts) || !(self.tunnelHost in self.moreHosts)))',
    message: 'tunnelHost is a name of the API server already: the tunnel needs one of its own',
  },
  {
    rule: `!has(self.tunnelHost) || (${fieldOf('egress')} != 'konnectivity' && ${fieldOf('inCluster')} != 'clusterip')`,
    message:
      'tunnelHost contradicts egress: konnectivity, which has tunnels of its own, and inCluster: clusterip, which no worker outside of the infra cluster reaches',
  },
  {
    rule: `(${fieldOf('expose')} == 'gateway') == has(self.gateway)`,
    message: 'expose: gateway and gateway need each other',
  },
  {
    rule: `${fieldOf('expose')} != 'nodeport' || !has(self.port) || !has(self.nodePort) || self.port == self.nodePort || has(self.workerEndpoint)`,
    message: 'port and nodePort differ, but with expose: nodeport they are the same thing',
  },
  {
    rule: `${fieldOf('etcdStorage')} != 'ephemeral' || ${fieldOf('etcdMembers')} == 1`,
    message: 'etcdMembers above 1 needs volumes, and etcdStorage is ephemeral',
  },
  {
    rule: `${fieldOf('etcdStorage')} != 'ephemeral' || !has(self.etcdStorageClass)`,
    message: 'etcdStorageClass has no use with etcdStorage: ephemeral',
  },
  {
    rule: withoutNodePorts(`${fieldOf('expose')} != 'nodeport' && !has(self.nodePort)`),
    message: 'allocateNodePorts: false contradicts expose: nodeport and nodePort',
  },
  {
    rule: withoutNodePorts(
      `${fieldOf('inCluster')} in ['loadbalancer', 'clusterip'] || (${fieldOf('expose')} == 'cluster' && !has(self.inCluster)) || (${fieldOf('inCluster')} == 'loopback' && (has(self.workerEndpoint) || has(self.tunnelHost)))`,
    ),
    message:
      'allocateNodePorts: false leaves pods on the workers without a way to the API server: give inCluster: loadbalancer, inCluster: clusterip where all workers are pods, or inCluster: loopback with workerEndpoint or tunnelHost',
  },
  {
    rule: withoutNodePorts(
      `${fieldOf('inCluster')} != 'loopback' || ${fieldOf('egress')} != 'konnectivity' || has(self.konnectivityEndpoint)`,
    ),
    message: 'allocateNodePorts: false with egress: konnectivity needs konnectivityEndpoint',
  },
  {
    rule: `${fieldOf('policyTypes')} != 'Ingress,Egress' || !has(self.allowEgress) || self.allowEgress.all(each, each.contains('/') || isIP(each.split(':')[0]))`,
    message:
      'allowEgress has a name, and with policyTypes: Ingress,Egress it has to be networks: a NetworkPolicy knows no names',
  },
  {
    rule: `!has(self.loadBalancerClass) || 'loadbalancer' in [${fieldOf('expose')}, ${fieldOf('inCluster')}]`,
    message: 'loadBalancerClass has no use without expose: loadbalancer or inCluster: loadbalancer',
  },
  {
    rule: 'has(self.oidcIssuer) == has(self.oidcClientId)',
    message: 'oidcIssuer and oidcClientId need each other',
  },
  ...(['oidcUsernamePrefix', 'oidcGroupsPrefix', 'oidcRequiredClaims', 'oidcCa'] as const).map((name) => ({
    rule: `!has(self.${name}) || has(self.oidcIssuer)`,
    message: `${name} has no use without oidcIssuer`,
  })),
  ...(['flannelMtu', 'flannelPort', 'flannelInterface'] as const).map((name) => ({
    rule: `!has(self.${name}) || ${fieldOf('network')} == 'flannel'`,
    message: `${name} has no use without network: flannel`,
  })),
  {
    rule: `${fieldOf('network')} != 'manifest' || has(self.networkManifest)`,
    message: 'network: manifest needs networkManifest',
  },
  {
    rule: `!has(self.flannelPort) || ${fieldOf('flannelBackend')} == 'vxlan'`,
    message: 'flannelPort has no use with flannelBackend: host-gw, which sends no packets inside of others',
  },
  {
    rule: `${fieldOf('workerPods')} == 0 || has(self.workerImage)`,
    message: 'workerPods needs workerImage: nobody publishes one; Dockerfile.worker makes it',
  },
  {
    rule: `${fieldOf('workerPods')} == 0 || ${fieldOf('inCluster')} != 'loopback'`,
    message: 'workerPods and inCluster: loopback contradict each other: a worker pod has no relay',
  },
  {
    rule: '!has(self.workerStorageClass) || has(self.workerStorage)',
    message: 'workerStorageClass has no use without workerStorage',
  },
  {
    rule: '!has(self.workerProxyExceptions) || has(self.workerHttpProxy) || has(self.workerHttpsProxy)',
    message: 'workerProxyExceptions has no use without workerHttpProxy or workerHttpsProxy',
  },
  {
    rule: `!has(self.workerVersion) || !has(self.workerImage) || !self.workerImage.matches('^([^/]*/)*[^/]*[:@][^/]*$')`,
    message: 'workerVersion and a workerImage with a tag or a digest contradict each other',
  },
  {
    rule: `!has(self.workerVersion) || ${minorOf(fieldOf('kubernetesVersion'))} - ${minorOf('self.workerVersion')} in [0, 1, 2, 3]`,
    message: 'workerVersion may be up to three minors older than kubernetesVersion, and never newer',
  },
  {
    rule: `${fieldOf('allowUntestedVersion')} || ${fieldOf('kubernetesVersion')} in [${tested.map((each) => `'${each}'`).join(', ')}]`,
    message: `kubernetesVersion was not tested with this k8sk8s, which knows ${knownMinors.map(({ patch }) => patch).join(', ')}; allowUntestedVersion: true tries it anyway`,
  },
];

/** A rule about a change holds only for a plane that was made: before, everything may still be chosen. */
const ofAPlane = (rule: string) => `!oldSelf.?status.?planeId.hasValue() || (${rule})`;

const fixed = (field: 'serviceCidr' | 'podCidr' | 'dnsDomain'): CelRule => ({
  rule: ofAPlane(`${fieldOf(field, 'self.spec')} == ${fieldOf(field, 'oldSelf.spec')}`),
  message: `${field} cannot change: services, pods and certificates of the hosted cluster use the old value`,
  reason: 'FieldValueForbidden',
});

const isSize = (value: string) => `!(${value} in ['auto', 'ephemeral'])`;
const [oldStorage, newStorage] = [fieldOf('etcdStorage', 'oldSelf.spec'), fieldOf('etcdStorage', 'self.spec')];

/** About the whole object, whose state before is `oldSelf`: what a plane that was made cannot become. */
export const rulesOfChange: CelRule[] = [
  fixed('serviceCidr'),
  fixed('podCidr'),
  fixed('dnsDomain'),
  {
    // What was not said is pinned in the status.
    rule: ofAPlane(
      `!has(self.spec.kubernetesVersion) || !oldSelf.?status.?version.hasValue() || ${minorOf('self.spec.kubernetesVersion')} - ${minorOf('oldSelf.status.version')} in [0, 1]`,
    ),
    message:
      'kubernetesVersion goes up one minor at a time, and never down: an older minor cannot read what a newer one has stored',
    reason: 'FieldValueForbidden',
  },
  {
    rule: ofAPlane(
      `${oldStorage} == ${newStorage} || 'auto' in [${oldStorage}, ${newStorage}] || (${isSize(oldStorage)} && ${isSize(newStorage)} && quantity(${newStorage}).compareTo(quantity(${oldStorage})) >= 0)`,
    ),
    message:
      'etcdStorage can grow; any other change would begin with an empty etcd. To move: backup, and restore into a new plane',
    reason: 'FieldValueForbidden',
  },
  {
    rule: ofAPlane(
      '!has(self.spec.etcdStorageClass) || !has(oldSelf.spec.etcdStorageClass) || self.spec.etcdStorageClass == oldSelf.spec.etcdStorageClass',
    ),
    message: "etcdStorageClass cannot change: etcd's data would not move with it",
    reason: 'FieldValueForbidden',
  },
];
