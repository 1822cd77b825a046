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

/** Containers that k8sk8s puts into a component's pods, its own first; a name that is none's is taken for its only container's. */
export function containersOf(component: string): string[] {
  return [component, ...(all.find(({ name }) => name === component)?.beside ?? [])];
}

/** The component in whose pods a container runs, by the container's name. @throws Error for a name of none: a bug */
export function componentOfContainer(container: string): Component {
  const found = all.find(({ name }) => containersOf(name).includes(container));
  if (!found) throw new Error(`no component has a container ${container}`);
  return found.name;
}

/** Components that are clients of the API server and nothing else, so that they come after it and give up without it. */
export const apiServerClients: readonly Component[] = all
  .filter(({ startsAfter }) => startsAfter === 'kube-apiserver')
  .map(({ name }) => name);

/** Names of the workloads of one kind. */
export function workloadNames(kind: PlaneComponent['kind']): Component[] {
  return all.filter((each) => each.kind === kind).map(({ name }) => name);
}

/** How many pods a component has. */
export function replicasOf(spec: ClusterSpec, name: Component): number {
  return componentNamed(name).replicas(spec);
}
