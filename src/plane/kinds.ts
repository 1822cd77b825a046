import type { ClusterSpec } from '../config/schema.ts';
import type { Kind } from '../kube/cluster.ts';
import { groupOf } from '../kube/resources.ts';
import type { BesidePlane } from './beside/beside.ts';
import { allBeside } from './beside/table.ts';
import type { PlaneComponent, PlaneKind } from './components/component.ts';
import { componentNames, workloadNames } from './components/lookup.ts';
import { components } from './components/table.ts';
import { kindsOfExposures } from './exposures/table.ts';
import { recordName } from './names.ts';
import { policyNames } from './policies.ts';
import { secretNames } from './secrets.ts';

/** Kinds that one component or exposure has and another has not: each stands in the folder of its own. */
export const kindsOfComponents: PlaneKind[] = [
  ...components.flatMap(({ kinds = [] }: PlaneComponent) => kinds),
  ...kindsOfExposures,
];

/** Every kind of which a plane has objects in its namespace, in the order in which destroy deletes them. */
export const planeKinds: readonly PlaneKind[] = merged([
  ...kindsOfComponents.filter(({ endsFirst }) => endsFirst),
  { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', names: componentNames, listed: true },
  { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', names: policyNames, listed: true },
  { apiVersion: 'apps/v1', kind: 'Deployment', names: workloadNames('Deployment'), endsFirst: true },
  { apiVersion: 'apps/v1', kind: 'StatefulSet', names: workloadNames('StatefulSet') },
  ...kindsOfComponents.filter(({ endsFirst }) => !endsFirst),
  ...allBeside.flatMap(({ kinds }: BesidePlane) => kinds),
  // Start files aside, whose names follow from their content.
  { apiVersion: 'v1', kind: 'Secret', names: secretNames },
  { apiVersion: 'v1', kind: 'ConfigMap', names: [recordName] },
]);

/** The plane's kind of which an object is, in whichever version; undefined for a kind of which a plane has none. */
export function planeKindOf(object: Kind): PlaneKind | undefined {
  return planeKinds.find((each) => groupOf(each) === groupOf(object) && each.kind === object.kind);
}

/** Kinds of which a plane of this spec has no object. */
export function unusedKinds(spec: ClusterSpec): PlaneKind[] {
  return planeKinds.filter(({ usedBy }) => usedBy && !usedBy(spec));
}

/** Two components may have objects of one kind. */
function merged(kinds: PlaneKind[]): PlaneKind[] {
  const all = new Map<string, PlaneKind>();
  for (const each of kinds) {
    const key = `${each.apiVersion}/${each.kind}`;
    const other = all.get(key);
    all.set(key, other ? together(other, each) : each);
  }
  return [...all.values()];
}

function together(one: PlaneKind, other: PlaneKind): PlaneKind {
  return {
    ...one,
    ...other,
    names: [...one.names, ...other.names],
    usedBy: (spec) => (one.usedBy?.(spec) ?? true) || (other.usedBy?.(spec) ?? true),
  };
}
