import type { ClusterSpec } from '../../src/config/schema.ts';

/*
 * Every kind of change of the spec of a plane that runs, for availability.test.ts, which fails when a field of the
 * spec is forgotten here.
 */

type Field = keyof ClusterSpec;

export interface Change {
  kind: string;
  fields: Field[];
  options: string[];
  /** Where nobody answers for a while, as docs/reliability.md says: with one member of etcd, its only pod ends. */
  gap?: 'one member';
  /** It makes new pods of the API server and nothing else, as a flag does: seen on the plane of one replica. */
  asAFlag?: true;
}

export const host = 'availability.e2e.test';
export const nextHost = `new.${host}`;

/** In an order in which each is a change. */
export const changes: Change[] = [
  { kind: 'a flag of the API server', fields: ['apiServerArgs'], options: ['--api-server-arg', 'v=1'] },
  { kind: 'an audit policy', fields: ['auditPolicy'], asAFlag: true, options: ['--audit-policy', 'quiet.yaml'] },
  { kind: 'no audit log', fields: ['audit'], asAFlag: true, options: ['--reset', 'audit-policy', '--no-audit'] },
  { kind: 'a name in the certificate', fields: ['sans'], options: ['--san', 'other.e2e.test'] },
  {
    kind: 'requests of the API server',
    fields: ['resources'],
    asAFlag: true,
    options: ['--resources', 'kube-apiserver=cpu=60m'],
  },
  {
    kind: 'flags of the controller-manager and the scheduler',
    fields: ['controllerManagerArgs', 'schedulerArgs'],
    options: ['--controller-manager-arg', 'v=1', '--scheduler-arg', 'v=1'],
  },
  { kind: 'a feature gate', fields: ['featureGates'], options: ['--feature-gates', 'ContextualLogging=true'] },
  { kind: 'egress none', fields: ['egress'], asAFlag: true, options: ['--egress', 'none'] },
  {
    kind: 'egress kubelet, with a private network opened',
    fields: ['egress', 'allowEgress'],
    asAFlag: true,
    options: ['--egress', 'kubelet', '--allow-egress', '10.99.0.0/24'],
  },
  {
    kind: 'annotations of the ingress and the Service',
    fields: ['ingressAnnotations', 'serviceAnnotations'],
    options: ['--ingress-annotation', 'example.com/kind=plane', '--service-annotation', 'example.com/kind=plane'],
  },
  { kind: 'NetworkPolicies of egress too', fields: ['policyTypes'], options: ['--policy-types', 'Ingress,Egress'] },
  {
    kind: 'an order of authorizers',
    fields: ['authorizationConfig'],
    options: ['--authorization-config', 'authorization.yaml'],
  },
  { kind: 'a sealed CA', fields: ['seal'], options: ['--seal', 'passphrase-file', '--seal-file', 'passphrase'] },
  { kind: 'keys of another type', fields: ['keyType'], options: ['--key-type', 'rsa', '--seal-file', 'passphrase'] },
  {
    kind: 'cluster-info for everybody',
    fields: ['kubeadmTokenDiscovery'],
    asAFlag: true,
    options: ['--kubeadm-token-discovery'],
  },
  {
    kind: 'another node port',
    fields: ['nodePort'],
    options: ['--node-port', '31964', '--yes', '--seal-file', 'passphrase'],
  },
  {
    kind: 'another HOST, seen at the old one',
    fields: ['host'],
    options: ['-h', nextHost, '--yes', '--seal-file', 'passphrase'],
  },
  { kind: 'no seal any more', fields: ['seal'], options: ['--seal', 'none', '--seal-file', 'passphrase'] },
  { kind: 'a flag of etcd', fields: ['etcdArgs'], options: ['--etcd-arg', 'snapshot-count=9000'], gap: 'one member' },
  {
    kind: 'labels, annotations, tolerations and a selector of all pods',
    fields: ['podLabels', 'podAnnotations', 'tolerations', 'nodeSelector'],
    options: [
      ...['--pod-label', 'example.com/team=a', '--pod-annotation', 'example.com/note=b'],
      ...['--tolerations', 'example.com/planes', '--node-selector', 'kubernetes.io/os=linux'],
    ],
    gap: 'one member',
  },
  {
    kind: 'profile lite, with its flags of etcd',
    fields: ['profile'],
    options: ['--profile', 'lite'],
    gap: 'one member',
  },
];

/** Numbers of pods, after the changes above: with one replica and one member at first, and with two and three. */
export const fromOne: Change[] = [
  { kind: 'two replicas instead of one', fields: ['replicas'], options: ['--replicas', '2'] },
  { kind: 'L6: one replica again', fields: ['replicas'], options: ['--replicas', '1'] },
  {
    kind: 'three etcd members instead of one',
    fields: ['etcdMembers'],
    options: ['--etcd-members', '3'],
    gap: 'one member',
  },
];
export const fromMany: Change[] = [
  { kind: 'L6: one replica instead of two', fields: ['replicas'], options: ['--replicas', '1'] },
  { kind: 'one etcd member instead of three', fields: ['etcdMembers'], options: ['--etcd-members', '1'] },
];

/** Fields that are not among them, and why. */
export const elsewhere: Partial<Record<Field, string>> = {
  port: 'announced as another HOST is; what listens there is not of the plane',
  kubernetesVersion: 'deploy refuses it: upgrade, under load in e2e/upgrade',
  allowUntestedVersion: 'changes nothing by itself',
  moreHosts: 'names beside HOST are names in the certificate with a rule of their own, as sans and host are',
  runAsUser:
    "the sandbox's volumes do not change the owner of files, so etcd's next pod can't read them, and the change is taken back",
  fsGroup: 'with runAsUser',
  tunnelHost: 'e2e/tunnel: workers that nobody can dial',
  gateway: 'with expose',
  expose: 'the old address ends, which is announced and asked for (address-moves)',
  ingressClass: 'another ingress controller, with another address: announced by whoever runs it',
  allocateNodePorts: 'needs another way for pods of the workers, see inCluster',
  ipFamilies: 'asked of the Services when they are made',
  workerEndpoint: 'announced as another HOST is, and changes files alone',
  inCluster: 'each worker, or a load balancer, has to be prepared for it: announced and asked for (relays-missing)',
  loadBalancerClass: 'with inCluster',
  loopbackAddress: 'with inCluster',
  konnectivityEndpoint: 'e2e/konnectivity: konnectivity has to be built',
  serviceCidr: 'refused (immutable)',
  podCidr: 'refused (immutable)',
  dnsDomain: 'refused (immutable)',
  network: 'objects of the hosted cluster alone',
  networkManifest: 'objects of the hosted cluster alone',
  flannelBackend: 'objects of the hosted cluster alone',
  flannelMtu: 'objects of the hosted cluster alone',
  flannelPort: 'objects of the hosted cluster alone',
  flannelInterface: 'objects of the hosted cluster alone',
  ciliumImage: 'objects of the hosted cluster alone',
  ciliumOperatorImage: 'objects of the hosted cluster alone',
  childAssets: 'objects of the hosted cluster alone',
  authenticationConfig: 'e2e/identity: a provider has to answer before running API servers take it over',
  authorizationWebhook: 'as authorizationConfig, in e2e/identity',
  oidcIssuer: 'the short way to authenticationConfig',
  oidcClientId: 'with oidcIssuer',
  oidcUsernameClaim: 'with oidcIssuer',
  oidcUsernamePrefix: 'with oidcIssuer',
  oidcGroupsClaim: 'with oidcIssuer',
  oidcGroupsPrefix: 'with oidcIssuer',
  oidcRequiredClaims: 'with oidcIssuer',
  oidcCa: 'with oidcIssuer',
  allowSystemNames: 'with authenticationConfig',
  priorityClassName: 'a field of all pods, as podLabels is; the sandbox has no PriorityClass of its own',
  runtimeClassName: 'as priorityClassName',
  serviceAccountName: 'as priorityClassName',
  trustInfra: 'a mount of the gate, with which the API server is replaced as by a flag: e2e/identity',
  workerPods: 'e2e/worker-pods',
  workerImage: 'e2e/worker-pods',
  workerVersion: 'e2e/worker-pods',
  workerResources: 'e2e/worker-pods',
  workerStorage: 'e2e/worker-pods',
  workerStorageClass: 'with workerStorage',
  workerNodeSelector: 'worker pods alone',
  workerTolerations: 'worker pods alone',
  workerRuntimeClass: 'worker pods alone',
  workerHttpProxy: 'worker pods alone',
  workerHttpsProxy: 'worker pods alone',
  workerProxyExceptions: 'worker pods alone',
  logs: 'e2e/log-view: no pod of the plane is another one for it',
  logsStorage: 'with logs',
  logsRetention: 'with logs',
  logStoreImage: 'with logs',
  etcdStorage: 'e2e/volume: larger volumes restart members one by one, which is said before',
  etcdStorageClass: 'refused (immutable)',
  etcdImage: 'images, of which the sandbox has one of each: upgrade, in e2e/upgrade',
  apiServerImage: 'with etcdImage',
  controllerManagerImage: 'with etcdImage',
  schedulerImage: 'with etcdImage',
  nodeImage: 'with etcdImage',
  konnectivityServerImage: 'with etcdImage',
  konnectivityAgentImage: 'with etcdImage',
  imageRegistry: 'with etcdImage',
  registryMirrors: 'with etcdImage',
  kubeProxyImage: 'objects of the hosted cluster alone',
  flannelImage: 'objects of the hosted cluster alone',
  flannelCniImage: 'objects of the hosted cluster alone',
  corednsImage: 'objects of the hosted cluster alone',
  imagePullSecret: 'a field of all pods, as podLabels is',
};
