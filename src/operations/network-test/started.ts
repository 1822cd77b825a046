import { UserError } from '../../base/errors.ts';
import { option, words } from '../../base/words.ts';
import { isDualStack } from '../../config/network.ts';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import type { Event, KubeObject, Pod, Service } from '../../kube/objects.ts';
import type { Plane } from '../../live/open.ts';
import { describeProblem, podProblems } from '../../live/pod-problems.ts';
import { isReady } from '../../live/pods.ts';
import { driverOf } from '../../plane/networks/table.ts';
import { waitAtMost, waitFor } from '../../ui/wait-for.ts';
import type { Work } from '../../ui/work.ts';
import { objectName, type PodName, podNames, type TestSetup, testNamespace, type Worker } from './setup.ts';

/** Milliseconds that pods are waited for that need a network of pods, once those without one are Ready. */
const networkPatience = 40_000;

const containers = ['web', 'second', 'speed', 'cleaner'];
const usesHost = ({ spec }: Pod) => spec.hostNetwork === true;

/**
 * Waits for the pods of the test. Those that get no network are what it is for; the others have to start.
 *
 * @throws UserError `network-test` where pods that need no network of pods do not start: then nothing can be said about it
 */
export async function startedPods(hosted: HostedCluster, made: KubeObject[], work: Work): Promise<Pod[]> {
  const kind = { apiVersion: 'v1', kind: 'Pod' };
  let pods: Pod[] = [];
  const look = async () => {
    const found = await Promise.all(
      made.map(({ metadata: { name, namespace } }) => hosted.get<Pod>(kind, name, namespace)),
    );
    pods = found.filter((pod) => pod !== undefined);
    return pods.length === made.length;
  };
  const unready = (which: (pod: Pod) => boolean = () => true) => pods.filter((pod) => !isReady(pod) && which(pod));
  const { signal } = work;
  await work.reporter.during('Starting the pods of the test', async (phase) => {
    const now = () => unready().map(nameOf).join(', ');
    const common = { phase, now, signal, every: 500 };
    await waitFor({
      ...common,
      until: async () => (await look()) && unready(usesHost).length === 0,
      timeout: work.timeout,
      failure: () => cannotStart(pods),
      late: (after) => notStarted(unready(usesHost), after),
    });
    const until = async () => (await look()) && unready().length === 0;
    await waitAtMost({ ...common, until, timeout: networkPatience });
  });
  return pods;
}

const nameOf = ({ metadata }: KubeObject) => metadata.name;

/** Why a pod is not Ready. @param own names of its containers, where policies may have added others */
export function whyNot(pod: Pod, own = containers): string {
  const [problem] = podProblems(pod, own);
  return problem ? describeProblem(problem, { node: 'worker' }) : `it is ${pod.status?.phase ?? 'Pending'}`;
}

function notStarted(pods: Pod[], after: string): UserError {
  return new UserError({
    what: `pods of the network test are not Ready after ${after}`,
    why: pods.map((pod) => `${nameOf(pod)} on ${pod.spec.nodeName}: ${whyNot(pod)}`).join('; '),
    fix: words`give more time for a slow registry with ${option('timeout')}, or an image that the workers have with ${option('image')}`,
    anchor: 'network-test',
  });
}

function cannotStart(pods: Pod[]): UserError | undefined {
  for (const pod of pods) {
    const problem = podProblems(pod, containers).find(({ hopeless }) => hopeless);
    if (problem)
      return new UserError({
        what: `pod ${nameOf(pod)} of the network test cannot start on ${pod.spec.nodeName}`,
        why: describeProblem(problem, { node: 'worker' }),
        fix: words`give an image of agnhost that the workers can pull with ${option('image')}`,
        anchor: 'network-test',
      });
  }
  return undefined;
}

interface Ground {
  plane: Plane;
  hosted: HostedCluster;
  workers: Worker[];
  signal: AbortSignal;
}

/** What the rows are told about pods and Services as they are now. */
export async function testSetupOf(
  { plane: { spec }, hosted, workers, signal }: Ground,
  started: Pod[],
): Promise<TestSetup> {
  const podOf = (name: PodName): Pod => started.find((pod) => nameOf(pod) === objectName(name)) ?? podOf('hostNear');
  const entries = podNames.map((name) => {
    const { metadata, spec: podSpec, status } = podOf(name);
    const { namespace = '' } = metadata;
    const [{ ip: address } = { ip: status?.podIP ?? '' }, second] = status?.podIPs ?? [];
    const node = podSpec.nodeName!;
    return [name, { name: metadata.name, namespace, node, address, secondAddress: second?.ip }] as const;
  });
  const names = ['web', 'sticky', 'itself', 'node-port', ...(isDualStack(spec) ? ['web-ipv6'] : [])];
  const services = await Promise.all(
    names.map(async (name) => [
      name,
      await hosted.get<Service>({ apiVersion: 'v1', kind: 'Service' }, name, testNamespace),
    ]),
  );
  const driver = driverOf(spec);
  return {
    hosted,
    driver,
    between: driver.reach(spec),
    podCidr: spec.podCidr,
    dnsDomain: spec.dnsDomain,
    workers,
    pods: Object.fromEntries(entries) as TestSetup['pods'],
    missing: await missingOf(hosted, podOf),
    services: Object.fromEntries(services) as TestSetup['services'],
    signal,
  };
}

/** What kubelets last said about pods of the test that have no network. */
async function missingOf(hosted: HostedCluster, podOf: (name: PodName) => Pod): Promise<TestSetup['missing']> {
  const missing = podNames.filter((name) => !isReady(podOf(name)));
  if (missing.length === 0) return {};
  const { items } = await hosted.list<Event>({ apiVersion: 'v1', kind: 'Event' });
  const said = (pod: Pod) =>
    items.findLast(
      ({ involvedObject, reason = '' }) =>
        involvedObject.uid === pod.metadata.uid && ['FailedCreatePodSandBox', 'NetworkNotReady'].includes(reason),
    )?.message;
  return Object.fromEntries(
    missing.map((name) => {
      const pod = podOf(name);
      return [name, `pod ${name} on ${pod.spec.nodeName} has no network: ${(said(pod) ?? whyNot(pod)).slice(0, 300)}`];
    }),
  );
}
