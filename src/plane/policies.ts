import type { ClusterSpec } from '../config/schema.ts';
import type { KubeObject } from '../kube/objects.ts';
import { render } from '../manifests/render.ts';
import closedPolicy from './components/closed-policy.yaml';
import type { PlaneComponent } from './components/component.ts';
import disruptionBudget from './components/disruption-budget.yaml';
import { components } from './components/table.ts';
import { labelsOf, podSelector } from './names.ts';
import type { EgressRule } from './policy-rules.ts';

/** Of every plane, whatever its spec. */
export const policyNames = components.flatMap(({ name, policyNames = [name] }: PlaneComponent) => policyNames);

/** Who may reach whom, where the infra cluster's network enforces it; nobody, where a component does not say. Pure. */
export function buildPolicies(planeId: string, spec: ClusterSpec): KubeObject[] {
  return components
    .flatMap(
      ({ name, policies }: PlaneComponent) =>
        policies?.(planeId, spec) ??
        render(closedPolicy, { name, selector: podSelector(planeId, name) }, 'closed-policy.yaml'),
    )
    .map((policy) => withEgress(policy as NetworkPolicy, planeId, spec))
    .map((policy) => labelled(policy, planeId, spec));
}

interface NetworkPolicy extends KubeObject {
  spec: { policyTypes: string[]; egress?: EgressRule[] };
}

/** The policy that is called by its component says what its pods reach too, where the spec wants that. */
function withEgress(policy: NetworkPolicy, planeId: string, spec: ClusterSpec): KubeObject {
  const component = components.find(({ name }) => name === policy.metadata.name) as PlaneComponent | undefined;
  if (spec.policyTypes === 'Ingress' || !component) return policy;
  const egress = component.egress?.(planeId, spec) ?? [];
  return { ...policy, spec: { ...policy.spec, policyTypes: spec.policyTypes.split(','), egress } } as KubeObject;
}

/** A drain of infra nodes takes one pod of a component at a time. Pure. */
export function buildDisruptionBudgets(planeId: string, spec: ClusterSpec): KubeObject[] {
  return components
    .filter(({ replicas }: PlaneComponent) => replicas(spec) > 1)
    .flatMap(({ name }) =>
      render(disruptionBudget, { name, selector: podSelector(planeId, name) }, 'disruption-budget.yaml'),
    )
    .map((budget) => labelled(budget, planeId, spec));
}

/** An object that is called by its component. */
function labelled(object: KubeObject, planeId: string, spec: ClusterSpec): KubeObject {
  const { name } = object.metadata;
  const labels = labelsOf(planeId, name, spec.kubernetesVersion);
  return { ...object, metadata: { ...object.metadata, labels } };
}
