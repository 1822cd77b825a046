import { kubernetesImage } from '../../../config/images.ts';
import { render } from '../../../manifests/render.ts';
import { podSelector } from '../../names.ts';
import { ownedBy, type PlaneComponent } from '../component.ts';
import { componentKubeconfig } from '../component-kubeconfig.ts';
import { clientTrial, leaderElectionValues } from '../leader-election.ts';
import template from './deployment.yaml';
import networkPolicy from './network-policy.yaml';
import report from './report.yaml';
import role from './role.yaml';

const name = 'cloud-controller-manager';

/** What the folder of a fifth component would hold; fifth.test.ts adds it to the table. */
export const cloudControllerManager: PlaneComponent<typeof name> = {
  name,
  kind: 'Deployment',
  image: (spec) => kubernetesImage(spec, name),
  replicas: ({ replicas }) => replicas,
  electsLeader: true,
  startsAfter: 'kube-apiserver',
  arguments: { owned: ownedBy('kubeconfig leader-elect'), featureGates: true },
  profiles: {
    default: {
      args: [],
      env: {},
      requests: { cpu: '5m', memory: '32Mi' },
      limits: { cpu: '1', memory: '256Mi' },
    },
    lite: { args: [], env: {}, requests: { cpu: '5m', memory: '32Mi' }, limits: { cpu: '1', memory: '256Mi' } },
  },
  workload: { template, values: ({ spec }) => leaderElectionValues(spec), spread: true },
  secrets: [
    {
      name,
      holds: () => false,
      trusted: ['ca'],
      files: (_, { internalServer }) => ({ kubeconfig: componentKubeconfig(name, internalServer) }),
    },
  ],
  kinds: [
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', names: [name] },
    {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      names: [`${name}-report`],
      usedBy: ({ replicas }) => replicas > 1,
      endsFirst: true,
    },
  ],
  objects: (_, { replicas }) => [
    ...render(role, {}, 'fifth.fixture/role.yaml'),
    ...(replicas > 1 ? render(report, {}, 'fifth.fixture/report.yaml') : []),
  ],
  policies: (planeId) =>
    render(
      networkPolicy,
      { selector: podSelector(planeId, name), etcd: podSelector(planeId, 'etcd') },
      'fifth.fixture/network-policy.yaml',
    ),
  policyNames: [name, `${name}-to-etcd`],
  trial: clientTrial,
  reachedAt: { port: () => 10258, byEverybody: false },
  beside: ['cloud-driver'],
};
