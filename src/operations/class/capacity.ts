import { UserError } from '../../base/errors.ts';
import { option, words } from '../../base/words.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { explainCallError, isForbidden } from '../../kube/errors.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { Node, Pod } from '../../kube/objects.ts';
import { componentNames, replicasOf } from '../../plane/components/lookup.ts';

/** The fields of a Node that say how many pods it can run. */
export interface PodRoom extends Node {
  spec?: { unschedulable?: boolean; taints?: { effect: string }[] };
  status?: Node['status'] & { allocatable?: { pods?: string } };
}

/** How many more pods the nodes can run, by the limit of each kubelet. Pure. */
export function freePods(nodes: PodRoom[], pods: Pod[]): number {
  const taken = new Map<string, number>();
  for (const { spec, status } of pods)
    if (spec.nodeName !== undefined && !['Succeeded', 'Failed'].includes(status?.phase ?? ''))
      taken.set(spec.nodeName, (taken.get(spec.nodeName) ?? 0) + 1);
  return nodes
    .filter(({ spec }) => !spec?.unschedulable && !spec?.taints?.some(({ effect }) => effect.startsWith('No')))
    .reduce(
      (sum, { metadata: { name }, status }) =>
        sum + Math.max(0, Number(status?.allocatable?.pods ?? 0) - (taken.get(name) ?? 0)),
      0,
    );
}

/** Pods of one plane. */
export function podsOfPlane(spec: ClusterSpec): number {
  return componentNames.reduce((sum, name) => sum + replicasOf(spec, name), 0);
}

/**
 * Counts whether the nodes have room for the pods of planes that are not there yet.
 *
 * @returns false where nodes and pods of the whole cluster may not be listed
 * @throws UserError `class` with the figures
 */
export async function requireRoom(cluster: InfraCluster, specs: ClusterSpec[]): Promise<boolean> {
  if (specs.length === 0) return true;
  let free: number;
  try {
    const [nodes, pods] = await Promise.all([
      cluster.listEverywhere<PodRoom>({ apiVersion: 'v1', kind: 'Node' }),
      cluster.listEverywhere<Pod>({ apiVersion: 'v1', kind: 'Pod' }),
    ]);
    free = freePods(nodes.items, pods.items);
  } catch (error) {
    if (isForbidden(error)) return false;
    throw explainCallError(error, 'list the nodes and pods of the infra cluster');
  }
  const needed = specs.reduce((sum, spec) => sum + podsOfPlane(spec), 0);
  if (needed <= free) return true;
  throw new UserError({
    what: `the nodes of the infra cluster have room for ${free} more pods, and ${specs.length} planes need ${needed}`,
    why: 'each kubelet runs a limited number of pods (maxPods, 110 by default), however small they are',
    fix: words`add nodes, let planes sleep that nobody needs now, or make the planes in parts; ${option('force')} begins nevertheless`,
    anchor: 'class',
    kind: 'refused',
  });
}
