import { type Component, components } from '../config/components.ts';
import type { ClusterSpec } from '../config/schema.ts';
import type { KubeObject } from '../kube/objects.ts';
import { renderTemplate } from '../manifests/render.ts';
import { labelsOf, podSelector } from './names.ts';

/** How many pods a component has. */
export function replicasOf(spec: ClusterSpec, component: Component): number {
  return component === 'etcd' ? spec.etcdMembers : spec.replicas;
}

/** What protects the plane's pods from others: network policies, and budgets where there is more than one. Pure. */
export function buildPolicies(planeId: string, spec: ClusterSpec): KubeObject[] {
  const labels = (component: string) => labelsOf(planeId, component as Component, spec.kubernetesVersion);
  const policies = renderTemplate('plane/network-policies.yaml', {
    etcd: podSelector(planeId, 'etcd'),
    apiserver: podSelector(planeId, 'kube-apiserver'),
    controllerManager: podSelector(planeId, 'kube-controller-manager'),
    scheduler: podSelector(planeId, 'kube-scheduler'),
    backup: podSelector(planeId, 'backup'),
    konnectivity: spec.egress === 'konnectivity' ? [{ port: 'konnectivity' }] : [],
  });
  const budgets = components
    .filter((component) => replicasOf(spec, component) > 1)
    .flatMap((name) => renderTemplate('plane/disruption-budget.yaml', { name, selector: podSelector(planeId, name) }));
  for (const object of [...policies, ...budgets]) object.metadata.labels = labels(object.metadata.name);
  return [...policies, ...budgets];
}
