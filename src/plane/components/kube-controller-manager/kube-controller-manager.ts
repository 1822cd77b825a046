import { kubernetesImage } from '../../../config/images.ts';
import { authoritiesSecret } from '../../names.ts';
import { toComponent } from '../../policy-rules.ts';
import { readAtStart, withFiles } from '../../read-at-start.ts';
import { ownedBy, type PlaneComponent } from '../component.ts';
import { componentKubeconfig } from '../component-kubeconfig.ts';
import { clientTrial, leaderElectionValues } from '../leader-election.ts';
import template from './deployment.yaml';

/** What deployment.yaml mounts of the CAs' Secret. */
const signerFiles = [
  'ca.crt',
  'ca.key',
  'ca-signer.crt',
  'ca-signer.key',
  'kubelet-serving-ca.crt',
  'kubelet-serving-ca.key',
  'service-account.key',
];

/**
 * The controllers' tokens come at this rate before any of them starts: 20 a second by default take 4 s, and until then no
 * namespace has the ServiceAccount that a pod needs.
 */
const quick = ['--kube-api-qps=100', '--kube-api-burst=200'];

export const kubeControllerManager: PlaneComponent<'kube-controller-manager'> = {
  name: 'kube-controller-manager',
  kind: 'Deployment',
  image: (spec) => spec.controllerManagerImage ?? kubernetesImage(spec, 'kube-controller-manager'),
  replicas: ({ replicas }) => replicas,
  electsLeader: true,
  startsAfter: 'kube-apiserver',
  arguments: {
    by: 'controllerManagerArgs',
    owned: {
      ...ownedBy(
        'kubeconfig service-account-private-key-file root-ca-file cluster-signing-cert-file cluster-signing-key-file use-service-account-credentials leader-elect authentication-skip-lookup',
      ),
      ...ownedBy(
        'cluster-signing-kubelet-client-cert-file cluster-signing-kubelet-client-key-file cluster-signing-kubelet-serving-cert-file cluster-signing-kubelet-serving-key-file',
      ),
      ...ownedBy(
        'cluster-signing-kube-apiserver-client-cert-file cluster-signing-kube-apiserver-client-key-file allocate-node-cidrs',
      ),
      'cluster-cidr': 'podCidr',
      'service-cluster-ip-range': 'serviceCidr',
      'feature-gates': 'featureGates',
    },
    featureGates: true,
  },
  profiles: {
    // Small heaps: collecting their garbage twice as often costs less than a millicore.
    default: {
      args: quick,
      env: { GOGC: '50' },
      requests: { cpu: '15m', memory: '64Mi' },
      limits: { cpu: '1', memory: '256Mi' },
    },
    lite: {
      args: quick,
      env: { GOGC: '10', GOMAXPROCS: '1' },
      requests: { cpu: '15m', memory: '48Mi' },
      limits: { cpu: '1', memory: '256Mi' },
    },
  },
  workload: {
    template,
    values: ({ spec }) => ({
      ...leaderElectionValues(spec),
      podCidr: spec.podCidr,
      serviceCidr: spec.serviceCidr,
      // A sealed CA has another signer in its place.
      signer: spec.seal === 'none' ? 'ca' : 'ca-signer',
    }),
    spread: true,
  },
  secrets: [
    {
      name: 'kube-controller-manager',
      holds: (leaf) => leaf === 'controller-manager',
      trusted: ['ca'],
      files: (_, { internalServer }) => ({ kubeconfig: componentKubeconfig('controller-manager', internalServer) }),
    },
  ],
  readsAtStart: (secrets) => [
    ...readAtStart(secrets.filter(({ metadata }) => metadata.name === 'kube-controller-manager')),
    ...secrets
      .filter(({ metadata }) => metadata.name === authoritiesSecret)
      .map((authorities) => withFiles(authorities, (file) => signerFiles.includes(file))),
  ],
  egress: (planeId) => [toComponent(planeId, 'kube-apiserver')],
  trial: clientTrial,
  reachedAt: { port: () => 10257, byEverybody: false },
};
