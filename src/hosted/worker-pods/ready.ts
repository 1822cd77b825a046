import { type Words, words } from '../../base/words.ts';
import { ApiError, ConnectionError } from '../../kube/errors.ts';
import type { Event, Node, Pod } from '../../kube/objects.ts';
import { podFailure } from '../../live/pod-failure.ts';
import { describeProblem, podProblems, refusalOf } from '../../live/pod-problems.ts';
import { workerPodName, workerPodsName } from '../../plane/beside/worker-pods/worker-pods.ts';
import { waitAtMost } from '../../ui/wait-for.ts';
import type { Work } from '../../ui/work.ts';
import { workerStatus } from '../workers.ts';
import { type WorkerPodsOf, workerPodsOf } from './ensure.ts';

/** Milliseconds that workers may take: pulling the images of a worker is most of them. */
const patience = 120_000;

/**
 * Waits until the Nodes of all worker pods are Ready, and says of each other one why it is not. It is no reason to fail: the control
 * plane does not need its workers.
 *
 * @returns whether all are Ready
 */
export async function awaitWorkerPods(plane: WorkerPodsOf, { reporter, timeout, signal }: Work): Promise<boolean> {
  const names = Array.from({ length: plane.spec.workerPods }, (_, number) => workerPodName(number));
  if (names.length === 0) return true;
  let waiting = names;
  let hopeless: Words[] = [];
  await reporter.during(
    'Waiting for the workers',
    (phase) =>
      waitAtMost({
        until: async () => {
          const ready = await readyNodes(plane);
          waiting = names.filter((name) => !ready.includes(name));
          hopeless = await whatFails(plane, waiting);
          return waiting.length <= hopeless.length;
        },
        now: () => waiting.join(', '),
        phase,
        timeout: Math.min(timeout, patience),
        signal,
        every: 500,
      }),
    () => (waiting.length === 0 ? `${names.length} workers are Ready` : `${waiting.length} workers are not Ready`),
  );
  if (waiting.length === 0) return true;
  for (const each of hopeless) reporter.warn(each);
  if (hopeless.length === 0) for (const each of await whatIsMissing(plane, waiting)) reporter.warn(each);
  return false;
}

/** A hosted API that does not answer for a moment is waited for, too. */
async function readyNodes({ hosted, spec }: WorkerPodsOf): Promise<string[]> {
  const items = await hosted.list<Node>({ apiVersion: 'v1', kind: 'Node' }).then(
    (list) => list.items,
    (error: unknown) => {
      if (error instanceof ConnectionError || (error instanceof ApiError && error.status >= 500)) return [];
      throw error;
    },
  );
  // Who brings a network makes the Nodes Ready later.
  const isReady = (node: Node) =>
    workerStatus(node).ready ||
    !spec.childAssets ||
    (['none', 'manifest'].includes(spec.network) && node.status !== undefined);
  return items.filter(isReady).map(({ metadata }) => metadata.name);
}

/** Of the workers named, what no waiting mends. */
async function whatFails(plane: WorkerPodsOf, names: string[]): Promise<Words[]> {
  const pods = (await workerPodsOf(plane)).filter(({ metadata }) => names.includes(metadata.name));
  const found = await Promise.all(pods.map((pod) => failureOf(plane, pod)));
  return found.filter((each) => each !== undefined);
}

async function failureOf({ cluster }: WorkerPodsOf, pod: Pod): Promise<Words | undefined> {
  for (const problem of podProblems(pod, [workerPodsName])) {
    const failure = await podFailure(cluster, pod, problem);
    if (failure) return words`worker ${pod.metadata.name}: ${failure.what}: ${failure.why ?? ''}`;
  }
  return undefined;
}

async function whatIsMissing(plane: WorkerPodsOf, names: string[]): Promise<Words[]> {
  const { cluster } = plane;
  const pods = await workerPodsOf(plane);
  const events = (await cluster.list<Event>({ apiVersion: 'v1', kind: 'Event' })).items;
  const refusal = refusalOf(workerPodsName, events);
  const faults = new Map(await Promise.all(names.map(async (name) => [name, await ownFault(plane, name)] as const)));
  return names.map((name) => {
    const pod = pods.find(({ metadata }) => metadata.name === name);
    if (!pod) return `worker ${name} has no pod${refusal ? `: ${refusal}` : ''}`;
    const [problem] = podProblems(pod, [workerPodsName]);
    const fault = faults.get(name);
    const why = problem
      ? describeProblem(problem, { component: workerPodsName })
      : (fault ?? `its Node is not Ready; its own words: kubectl -n ${cluster.namespace} logs ${name}`);
    return `worker ${name}: ${why}`;
  });
}

/** What a worker itself says keeps it from being one. */
async function ownFault({ cluster }: WorkerPodsOf, name: string): Promise<string | undefined> {
  const text = await cluster.log(name, { tailLines: 500 }).catch(() => '');
  return /^worker: FAULT: (.*)$/m.exec(text)?.[1];
}
