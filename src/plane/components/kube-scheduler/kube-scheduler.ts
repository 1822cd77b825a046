import { kubernetesImage } from '../../../config/images.ts';
import { toComponent } from '../../policy-rules.ts';
import { ownedBy, type PlaneComponent } from '../component.ts';
import { componentKubeconfig } from '../component-kubeconfig.ts';
import { clientTrial, leaderElectionValues } from '../leader-election.ts';
import template from './deployment.yaml';

export const kubeScheduler: PlaneComponent<'kube-scheduler'> = {
  name: 'kube-scheduler',
  kind: 'Deployment',
  image: (spec) => spec.schedulerImage ?? kubernetesImage(spec, 'kube-scheduler'),
  replicas: ({ replicas }) => replicas,
  electsLeader: true,
  startsAfter: 'kube-apiserver',
  arguments: {
    by: 'schedulerArgs',
    owned: {
      ...ownedBy('kubeconfig leader-elect authentication-skip-lookup'),
      'feature-gates': 'featureGates',
    },
    featureGates: true,
  },
  profiles: {
    default: {
      args: [],
      env: { GOGC: '50' },
      requests: { cpu: '5m', memory: '32Mi' },
      limits: { cpu: '1', memory: '256Mi' },
    },
    lite: {
      args: [],
      env: { GOGC: '10', GOMAXPROCS: '1' },
      requests: { cpu: '5m', memory: '32Mi' },
      limits: { cpu: '1', memory: '256Mi' },
    },
  },
  workload: { template, values: ({ spec }) => leaderElectionValues(spec), spread: true },
  secrets: [
    {
      name: 'kube-scheduler',
      holds: (leaf) => leaf === 'scheduler',
      trusted: ['ca'],
      files: (_, { internalServer }) => ({ kubeconfig: componentKubeconfig('scheduler', internalServer) }),
    },
  ],
  egress: (planeId) => [toComponent(planeId, 'kube-apiserver')],
  trial: clientTrial,
  reachedAt: { port: () => 10259, byEverybody: false },
};
