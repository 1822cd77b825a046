import type { ClusterSpec } from '../../config/schema.ts';
import type { KubeObject } from '../../kube/objects.ts';
import type { BesidePlane, BesideSource } from './beside.ts';
import { allBeside } from './table.ts';

/** The name of what stands beside a plane: `log-store`. */
export type Beside = (typeof allBeside)[number]['name'];

const all: readonly BesidePlane<Beside>[] = allBeside;

export const besideNames: readonly Beside[] = all.map(({ name }) => name);

/** What the spec wants beside the plane. */
export function wantedBeside(spec: ClusterSpec): BesidePlane<Beside>[] {
  return all.filter(({ replicas }) => replicas(spec) > 0);
}

/** In the order in which they are made: those that are clients of the control plane come last, as they end first. */
export const inOrderOfMaking: readonly BesidePlane<Beside>[] = [...endingWhen('after'), ...endingWhen('before')];

/** @param when as they end where the plane falls asleep */
function endingWhen(when: BesidePlane['ends']): BesidePlane<Beside>[] {
  return all.filter(({ ends }) => ends === when);
}

/** A value for each, by its name. */
export function byBeside<T>(value: (beside: BesidePlane<Beside>) => T): Record<Beside, T> {
  return Object.fromEntries(all.map((each) => [each.name, value(each)])) as Record<Beside, T>;
}

/** Its objects, none where the spec wants none. Pure. */
export function buildBeside(beside: BesidePlane, source: BesideSource): KubeObject[] {
  return beside.replicas(source.spec) > 0 ? beside.objects(source) : [];
}

/** Of which of them a pod or an object is; undefined for one of the control plane. */
export function besideOf({ metadata }: Pick<KubeObject, 'metadata'>): BesidePlane<Beside> | undefined {
  const label = metadata.labels?.['app.kubernetes.io/name'];
  return all.find(({ name }) => label === name || metadata.name === name);
}

/** Whether a pod or a workload is no part of the control plane, though it is the plane's: what fails there stops nothing. */
export function isBeside(object: Pick<KubeObject, 'metadata'>): boolean {
  return besideOf(object) !== undefined;
}
