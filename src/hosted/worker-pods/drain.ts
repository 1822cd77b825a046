import { UserError } from '../../base/errors.ts';
import { again, words } from '../../base/words.ts';
import { ApiError, isNotFound } from '../../kube/errors.ts';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import { type Node, nameOf, type Pod } from '../../kube/objects.ts';
import { waitFor } from '../../ui/wait-for.ts';
import type { Work } from '../../ui/work.ts';
import { workerStatus } from '../workers.ts';

const nodeKind = { apiVersion: 'v1', kind: 'Node' };

/** @param closed whether new pods are kept away */
export async function cordon(hosted: HostedCluster, name: string, closed: boolean): Promise<void> {
  await hosted.merge(nodeKind, name, { spec: { unschedulable: closed ? true : null } });
}

/**
 * Evicts the pods of a Node, so that PodDisruptionBudgets hold, and waits until they are gone. A Node that is not Ready ends no pod,
 * so nothing is waited for there.
 *
 * @throws UserError `worker-drain`
 */
export async function drain(hosted: HostedCluster, name: string, { reporter, timeout, signal }: Work): Promise<void> {
  const node = await hosted.get<Node>(nodeKind, name);
  if (!node) return;
  await cordon(hosted, name, true);
  if (!workerStatus(node).ready) return;
  let left: Pod[] = [];
  let refusal: string | undefined;
  await reporter.during(`Draining ${name}`, (phase) =>
    waitFor({
      until: async () => {
        left = await podsToEvict(hosted, name);
        refusal = undefined;
        for (const pod of left) refusal = (await evict(hosted, pod)) ?? refusal;
        return left.length === 0;
      },
      now: () => `${left.length} pods left${refusal ? `; ${refusal}` : ''}`,
      phase,
      timeout,
      signal,
      every: 1000,
      late: (after) =>
        new UserError({
          what: `worker ${name} still has ${left.length} pods after ${after}: ${left.map(nameOf).join(', ')}`,
          why: refusal,
          fix: words`let the PodDisruptionBudget that is named allow it, or delete the pods, and ${again}; until then no new pod goes to ${name}`,
          anchor: 'worker-drain',
        }),
    }),
  );
}

/** All but those that are the Node's own: of DaemonSets, of files on it, and those that have ended. */
async function podsToEvict(hosted: HostedCluster, node: string): Promise<Pod[]> {
  const { items } = await hosted.list<Pod>(
    { apiVersion: 'v1', kind: 'Pod' },
    { fieldSelector: `spec.nodeName=${node}` },
  );
  return items.filter(
    ({ metadata, status }) =>
      !metadata.ownerReferences?.some(({ kind }) => kind === 'DaemonSet') &&
      metadata.annotations?.['kubernetes.io/config.mirror'] === undefined &&
      !['Succeeded', 'Failed'].includes(status?.phase ?? ''),
  );
}

/** @returns why the pod may not be evicted yet */
async function evict(hosted: HostedCluster, { metadata }: Pod): Promise<string | undefined> {
  if (metadata.deletionTimestamp) return undefined;
  try {
    await hosted.evict(metadata.name, metadata.namespace!);
    return undefined;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    // A budget that is used up; the pod is asked for again.
    if (error instanceof ApiError && error.status === 429) return error.message;
    throw error;
  }
}
