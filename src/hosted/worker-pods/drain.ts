import { UserError } from '../../base/errors.ts';
import { again, words } from '../../base/words.ts';
import { ApiError, isNotFound } from '../../kube/errors.ts';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import { type Node, nameOf, type Pod } from '../../kube/objects.ts';
import { waitFor } from '../../ui/wait-for.ts';
import type { Work } from '../../ui/work.ts';
import { workerStatus } from '../workers.ts';

const nodeKind = { apiVersion: 'v1', kind: 'Node' };
const podKind = { apiVersion: 'v1', kind: 'Pod' };

/** On a Node that k8sk8s closed to new pods: one that somebody else closed stays closed. */
const closedByUs = 'k8sk8s.io/closed';

/** Keeps new pods away from a Node, until `open`. */
export async function cordon(hosted: HostedCluster, node: Node): Promise<void> {
  if (node.spec?.unschedulable) return;
  await hosted.merge(nodeKind, node.metadata.name, {
    metadata: { annotations: { [closedByUs]: 'true' } },
    spec: { unschedulable: true },
  });
}

/** What a person wants of a Node, which no later run takes back. */
export async function cordonByHand(hosted: HostedCluster, name: string, closed: boolean): Promise<void> {
  await hosted.merge(nodeKind, name, {
    metadata: { annotations: { [closedByUs]: null } },
    spec: { unschedulable: closed ? true : null },
  });
}

/** Lets new pods come to a Node again that `cordon` closed, in this run or in one that was killed. */
export async function open(hosted: HostedCluster, { metadata }: Node): Promise<void> {
  if (metadata.annotations?.[closedByUs] === undefined) return;
  await hosted.merge(nodeKind, metadata.name, {
    metadata: { annotations: { [closedByUs]: null } },
    spec: { unschedulable: null },
  });
}

/**
 * Evicts the pods of a Node, so that PodDisruptionBudgets hold, and waits until they are gone. A Node that is not Ready ends no pod,
 * so nothing is waited for there.
 *
 * What comes later is not waited for: a pod that tolerates every taint, as the approver does, or that names its Node, may be made anew
 * on the very Node, again and again.
 *
 * @throws UserError `worker-drain`
 */
export async function drain(hosted: HostedCluster, name: string, { reporter, timeout, signal }: Work): Promise<void> {
  const node = await hosted.get<Node>(nodeKind, name);
  if (!node) return;
  await cordon(hosted, node);
  if (!workerStatus(node).ready) return;
  let left: Pod[] = [];
  let refusal: string | undefined;
  const met = new Set<string>();
  let looks = 0;
  await reporter.during(`Draining ${name}`, (phase) =>
    waitFor({
      until: async () => {
        const there = await podsToEvict(hosted, name);
        // Of the second look are pods that the scheduler placed in the moment before the Node was closed.
        if (++looks <= 2) for (const { metadata } of there) met.add(metadata.uid!);
        left = there.filter(({ metadata }) => met.has(metadata.uid!));
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

/**
 * Deletes a Node whose kubelet has ended for good, and then what is bound to it: nothing would end those pods but the pod garbage
 * collector, after a minute, and until then a Deployment makes no new ones.
 */
export async function removeNode(hosted: HostedCluster, name: string): Promise<boolean> {
  const removed = await hosted.delete(nodeKind, name);
  for (const { metadata } of await podsOn(hosted, name))
    await hosted.delete(podKind, metadata.name, metadata.namespace, { gracePeriodSeconds: 0 });
  return removed;
}

async function podsOn(hosted: HostedCluster, node: string): Promise<Pod[]> {
  return (await hosted.list<Pod>(podKind, { fieldSelector: `spec.nodeName=${node}` })).items;
}

/** All but those that are the Node's own: of DaemonSets, of files on it, and those that have ended. */
async function podsToEvict(hosted: HostedCluster, node: string): Promise<Pod[]> {
  return (await podsOn(hosted, node)).filter(
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
    // A budget that is used up (429), or a pod that two budgets name (500); the pod is asked for again.
    if (error instanceof ApiError && [429, 500].includes(error.status)) return error.message;
    throw error;
  }
}
