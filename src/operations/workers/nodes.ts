import { UserError } from '../../base/errors.ts';
import { command, option, words } from '../../base/words.ts';
import { cordonByHand, drain } from '../../hosted/worker-pods/drain.ts';
import { type WorkerStatus, workerStatus } from '../../hosted/workers.ts';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import type { KubeObject, Node } from '../../kube/objects.ts';
import { workerPodsName } from '../../plane/beside/worker-pods/worker-pods.ts';
import type { Work } from '../../ui/work.ts';

const nodeKind = { apiVersion: 'v1', kind: 'Node' };

/** A worker as `workers list` shows it. */
export interface Worker extends WorkerStatus {
  made: string;
  /** No new pods go there. */
  cordoned: boolean;
  /** Requests of its kubelet for certificates that nobody has answered. */
  waiting: string[];
}

type Request = KubeObject & {
  spec: { username?: string };
  status?: { conditions?: unknown[]; certificate?: string };
};

export async function listWorkers(hosted: HostedCluster): Promise<Worker[]> {
  const [nodes, requests] = await Promise.all([
    hosted.list<Node>(nodeKind),
    hosted.list<Request>({ apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest' }),
  ]);
  return workersOf(nodes.items, requests.items);
}

/** Pure. */
export function workersOf(nodes: Node[], requests: Request[]): Worker[] {
  const open = requests.filter(({ status }) => !status?.certificate && (status?.conditions ?? []).length === 0);
  return nodes.map((node) => ({
    ...workerStatus(node),
    made: node.metadata.creationTimestamp ?? '',
    cordoned: node.spec?.unschedulable === true,
    waiting: open
      .filter(({ spec }) => spec.username === `system:node:${node.metadata.name}`)
      .map(({ metadata }) => metadata.name),
  }));
}

/** @throws UserError `no-worker` */
export async function cordonWorker(hosted: HostedCluster, name: string, closed: boolean): Promise<void> {
  await demandWorker(hosted, name);
  await cordonByHand(hosted, name, closed);
}

/**
 * Drains a worker and deletes its Node. What runs on the machine goes on until the machine leaves itself.
 *
 * @throws UserError `no-worker`, `worker-is-pod`, `worker-drain`
 */
export async function removeWorker(hosted: HostedCluster, name: string, work: Work): Promise<{ ready: boolean }> {
  const { ready } = workerStatus(await demandWorker(hosted, name));
  // A StatefulSet would make it again, and it would join again.
  if (new RegExp(`^${workerPodsName}-\\d+$`).test(name))
    throw new UserError({
      what: `${name} is a pod of the infra cluster`,
      why: 'its Node would be made again at once',
      fix: words`take the last ones away with: ${command('workers scale')}`,
      anchor: 'worker-is-pod',
      kind: 'refused',
    });
  await drain(hosted, name, work);
  await hosted.delete(nodeKind, name);
  return { ready };
}

async function demandWorker(hosted: HostedCluster, name: string): Promise<Node> {
  const node = await hosted.get<Node>(nodeKind, name);
  if (node) return node;
  const { items } = await hosted.list<Node>(nodeKind);
  throw new UserError({
    what: `the hosted cluster has no worker ${name}`,
    why:
      items.length === 0 ? 'no machine has joined it' : `it has ${items.map((each) => each.metadata.name).join(', ')}`,
    fix: words`give one of these names, or another namespace with ${option('namespace')}`,
    anchor: 'no-worker',
    kind: 'refused',
  });
}
