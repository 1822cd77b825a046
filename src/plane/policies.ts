import type { ClusterSpec } from '../config/schema.ts';
import type { KubeObject } from '../kube/objects.ts';
import { renderTemplate } from '../manifests/render.ts';
import type { PlaneComponent } from './components/component.ts';
import { components } from './components/table.ts';
import { labelsOf, podSelector } from './names.ts';

/** Who may reach whom, where the infra cluster's network enforces it. Pure. */
export function buildPolicies(planeId: string, spec: ClusterSpec): KubeObject[] {
  const policies = renderTemplate('plane/network-policies.yaml', {
    etcd: podSelector(planeId, 'etcd'),
    apiserver: podSelector(planeId, 'kube-apiserver'),
    controllerManager: podSelector(planeId, 'kube-controller-manager'),
    scheduler: podSelector(planeId, 'kube-scheduler'),
    backup: podSelector(planeId, 'backup'),
    konnectivity: spec.egress === 'konnectivity' ? [{ port: 'konnectivity' }] : [],
  });
  return policies.map((policy) => labelled(policy, planeId, spec));
}

/** A drain of infra nodes takes one pod of a component at a time. Pure. */
export function buildDisruptionBudgets(planeId: string, spec: ClusterSpec): KubeObject[] {
  return components
    .filter(({ replicas }: PlaneComponent) => replicas(spec) > 1)
    .flatMap(({ name }) =>
      renderTemplate('plane/disruption-budget.yaml', { name, selector: podSelector(planeId, name) }),
    )
    .map((budget) => labelled(budget, planeId, spec));
}

/** An object that is called by its component. */
function labelled(object: KubeObject, planeId: string, spec: ClusterSpec): KubeObject {
  const { name } = object.metadata;
  const labels = labelsOf(planeId, name, spec.kubernetesVersion);
  return { ...object, metadata: { ...object.metadata, labels } };
}
