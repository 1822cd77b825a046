import type { KubeObject, Workload } from '../../../kube/objects.ts';
import { render, type Value } from '../../../manifests/render.ts';
import { labelsOf, podSelector } from '../../names.ts';
import { resourcesOf } from '../../resources.ts';
import type { BesidePlane, BesideSource } from '../beside.ts';
import template from './deployment.yaml';

const name = 'cluster-autoscaler';
const measured = { requests: { cpu: '5m', memory: '32Mi' }, limits: { cpu: '1', memory: '64Mi' } };

/** What the folder of a third thing beside a plane would hold; third.test.ts adds it to the table. */
export const clusterAutoscaler: BesidePlane<typeof name> = {
  name,
  kind: 'Deployment',
  replicas: ({ replicas }) => (replicas > 1 ? 2 : 0),
  image: () => 'autoscaler:1',
  containers: [name],
  kinds: [
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', names: [name] },
    { apiVersion: 'v1', kind: 'Secret', names: [name] },
    { apiVersion: 'apps/v1', kind: 'Deployment', names: [name] },
  ],
  objects,
  secret: (planeId, before) =>
    before ?? { apiVersion: 'v1', kind: 'Secret', metadata: { name, labels: labelsOf(planeId, name, '1') } },
  trialPod(planeId, spec) {
    const [workload] = objects({ planeId, spec, storage: { kind: 'ephemeral' } }) as Workload[];
    return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: workload!.spec.template.spec } as KubeObject;
  },
  ends: 'before',
  called: { itself: 'the autoscaler', done: 'The autoscaler works' },
  statusName: 'autoscaler',
  problem: ({ ready, count }) =>
    ready ? undefined : { what: `${count} autoscalers`, anchor: 'worker-pod-not-ready', severity: 'warning' },
};

function objects({ planeId, spec, asleep }: BesideSource): KubeObject[] {
  return render(
    template,
    {
      labels: labelsOf(planeId, name, '1'),
      selector: podSelector(planeId, name),
      replicas: asleep ? 0 : 2,
      resources: { ...resourcesOf(spec, name, measured) } as Value,
    },
    'third.fixture/deployment.yaml',
  );
}
