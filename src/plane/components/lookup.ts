import type { ClusterSpec } from '../../config/schema.ts';
import type { PlaneComponent } from './component.ts';
import { components } from './table.ts';

/** The name of a component: `kube-apiserver`. */
export type Component = (typeof components)[number]['name'];

const all: readonly PlaneComponent<Component>[] = components;

export const componentNames: readonly Component[] = all.map(({ name }) => name);

/** @throws Error for a name of none: a bug */
export function componentNamed(name: Component): PlaneComponent<Component> {
  const found = all.find((each) => each.name === name);
  if (!found) throw new Error(`there is no component ${name}`);
  return found;
}

/** A value for each component, by its name. */
export function byComponent<T>(value: (component: PlaneComponent<Component>) => T): Record<Component, T> {
  return Object.fromEntries(all.map((component) => [component.name, value(component)])) as Record<Component, T>;
}

/** Names of the workloads of one kind. */
export function workloadNames(kind: PlaneComponent['kind']): Component[] {
  return all.filter((each) => each.kind === kind).map(({ name }) => name);
}

/** How many pods a component has. */
export function replicasOf(spec: ClusterSpec, name: Component): number {
  return componentNamed(name).replicas(spec);
}
