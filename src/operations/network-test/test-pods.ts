import { Readable } from 'node:stream';
import { UserError } from '../../base/errors.ts';
import { command, words } from '../../base/words.ts';
import { mirrored } from '../../config/images.ts';
import { isDualStack } from '../../config/network.ts';
import { otherImages } from '../../config/versions.ts';
import { hostedPullSecret } from '../../hosted/pull-secret.ts';
import { ApiError } from '../../kube/errors.ts';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { KubeObject, Node, OwnerReference } from '../../kube/objects.ts';
import type { Plane } from '../../live/open.ts';
import { render } from '../../manifests/render.ts';
import { partOf } from '../../plane/names.ts';
import { waitFor } from '../../ui/wait-for.ts';
import type { Work } from '../../ui/work.ts';
import cleanerPod from './cleaner-pod.yaml';
import {
  objectName,
  outsideNamespace,
  type PodName,
  podNames,
  ports,
  type TestSetup,
  testNamespace,
  type Worker,
} from './setup.ts';
import { startedPods, testSetupOf } from './started.ts';
import testObjects from './test-objects.yaml';
import testObjectsIpv6 from './test-objects-ipv6.yaml';
import testPod from './test-pod.yaml';

export interface TestOptions {
  /** Of agnhost; upstream's, or where the spec mirrors it, when left out. */
  image?: string;
}

/** Where a test takes place. */
interface Ground {
  cluster: InfraCluster;
  plane: Plane;
  hosted: HostedCluster;
  options: TestOptions;
}

interface PodSource {
  image: string;
  pullSecrets?: { name: string }[];
}

const namespaceKind = { apiVersion: 'v1', kind: 'Namespace' };

/** Seconds after which pods of the test end whatever becomes of the test. */
const deadline = 1200;

/**
 * Makes the pods of the test for `use`, and takes them away in the end. A pod beside them does the same when this process is
 * killed: it waits for the end of a connection that is open as long as the process lives.
 */
export async function withTestSetup<T>(ground: Ground, work: Work, use: (setup: TestSetup) => Promise<T>): Promise<T> {
  const { hosted } = ground;
  const released = new AbortController();
  try {
    return await use(await makeTestSetup(ground, work, released.signal));
  } finally {
    released.abort();
    await hosted.delete(namespaceKind, testNamespace);
  }
}

/** Takes away what an earlier test has left, and waits until it is gone. */
export async function removeTestSetup(hosted: HostedCluster, { reporter, timeout, signal }: Work): Promise<void> {
  const left = async () => {
    const found = await Promise.all([testNamespace, outsideNamespace].map((name) => hosted.get(namespaceKind, name)));
    return found.filter((each) => each !== undefined);
  };
  const before = await left();
  if (before.length === 0) return;
  for (const { metadata } of before) await hosted.delete(namespaceKind, metadata.name);
  await reporter.during('Taking away what an earlier test has left', () =>
    waitFor({
      until: async () => (await left()).length === 0,
      every: 500,
      timeout,
      signal,
      late: (after) =>
        new UserError({
          what: `namespace "${testNamespace}" of the hosted cluster is still there after ${after}`,
          why: 'pods on a worker that does not answer, or an aggregated API that is away, keep a namespace from ending',
          fix: `kubectl get namespace ${testNamespace} -o yaml says what is left in it`,
          anchor: 'network-test',
        }),
    }),
  );
}

const onSecond: readonly PodName[] = ['far', 'hostFar', 'outside'];

async function makeTestSetup(ground: Ground, work: Work, released: AbortSignal): Promise<TestSetup> {
  const { plane, hosted, cluster, options } = ground;
  const workers = await workersOf(hosted, cluster.namespace);
  const { metadata } = await hosted.apply(namespace(testNamespace));
  await hosted.apply(namespace(outsideNamespace, [{ ...namespaceKind, name: testNamespace, uid: metadata.uid! }]));
  const [secret] = await hostedPullSecret(cluster, plane.spec);
  for (const each of secret ? [testNamespace, outsideNamespace] : [])
    await hosted.apply({ ...secret!, metadata: { ...secret!.metadata, namespace: each } });
  const source: PodSource = {
    image: options.image ?? mirrored(plane.spec, otherImages.agnhost),
    pullSecrets: secret && [{ name: secret.metadata.name }],
  };
  const values = { namespace: testNamespace, webPorts: [{ port: ports.web }] };
  const objects = [testObjects, ...(isDualStack(plane.spec) ? [testObjectsIpv6] : [])].flatMap((each) =>
    render(each, values, 'the network test'),
  );
  await Promise.all(objects.map((object) => applied(hosted, object)));
  const [first, second] = [workers[0]!.name, workers.at(-1)!.name];
  const cleaner = cleanerOf(clean(plane), first, source);
  const pods = podNames
    .filter((name) => name !== 'hostFar' || second !== first)
    .map((name) => podOf(name, onSecond.includes(name) ? second : first, source));
  await Promise.all([cleaner, ...pods].map((pod) => applied(hosted, pod)));
  const started = await startedPods(hosted, [cleaner, ...pods], work);
  hold(hosted, clean(plane), released);
  return testSetupOf({ plane, hosted, workers, signal: work.signal }, started);
}

/** Up to two, whose kubelets answer: one that is not Ready for want of a network is what the test is for. */
async function workersOf(hosted: HostedCluster, planeNamespace: string): Promise<Worker[]> {
  const { items } = await hosted.list<Node & { spec?: { podCIDR?: string } }>({ apiVersion: 'v1', kind: 'Node' });
  const ready = ({ status }: Node) => status?.conditions?.find(({ type }) => type === 'Ready')?.status ?? 'Unknown';
  const answering = items.filter((node) => ready(node) !== 'Unknown');
  if (answering.length === 0)
    throw new UserError({
      what: 'the hosted cluster has no worker on which its network could be tried',
      why:
        items.length > 0
          ? `no kubelet of ${items.map(({ metadata }) => metadata.name).join(', ')} answers`
          : 'no machine has joined it',
      fix: words`let a machine join it: ${command('worker-config', planeNamespace)}`,
      anchor: 'network-test',
      kind: 'refused',
    });
  return answering.slice(0, 2).map(({ metadata, status, spec }) => ({
    name: metadata.name,
    address: status?.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? '',
    secondAddress: status?.addresses?.find(({ type, address }) => type === 'InternalIP' && address.includes(':'))
      ?.address,
    podCidr: spec?.podCIDR,
  }));
}

function namespace(name: string, ownerReferences?: OwnerReference[]): KubeObject {
  const labels = {
    'app.kubernetes.io/part-of': partOf,
    // Some of its pods use the network of their node.
    'pod-security.kubernetes.io/enforce': 'privileged',
  };
  return { ...namespaceKind, metadata: { name, labels, ...(ownerReferences && { ownerReferences }) } };
}

function podOf(name: PodName, node: string, { image, pullSecrets }: PodSource): KubeObject {
  const values = {
    name: objectName(name),
    namespace: name === 'outside' ? outsideNamespace : testNamespace,
    labels: { name, ...((name === 'near' || name === 'far') && { web: 'yes' }) },
    node,
    hostNetwork: name.startsWith('host'),
    deadline,
    image,
    pullSecrets,
    port: ports.web,
    secondPort: ports.second,
    speedPort: String(ports.speed),
  };
  return render(testPod, values, 'a pod of the network test')[0]!;
}

function clean({ addresses }: Pick<Plane, 'addresses'>): string {
  const account = '/var/run/secrets/kubernetes.io/serviceaccount';
  return `curl -sS -m 20 --retry 5 --retry-all-errors --cacert ${account}/ca.crt -H "Authorization: Bearer $(cat ${account}/token)" -X DELETE ${addresses.workerServer}/api/v1/namespaces/${testNamespace} >/dev/null`;
}

function cleanerOf(cleaning: string, node: string, { image, pullSecrets }: PodSource): KubeObject {
  const values = { namespace: testNamespace, node, image, pullSecrets, deadline, clean: cleaning };
  return render(cleanerPod, values, 'the cleaner of the network test')[0]!;
}

/** A namespace that was just made has no ServiceAccount yet, and a pod in it is refused. */
async function applied(hosted: HostedCluster, object: KubeObject): Promise<void> {
  let last: unknown;
  const early = (error: unknown) => {
    if (!(error instanceof ApiError && error.status === 403)) throw error;
    last = error;
    return false;
  };
  await waitFor({
    until: () => hosted.apply(object).then(() => true, early),
    timeout: 15_000,
    late: () => last,
  });
}

/** As long as this process lives it holds a command in the cleaner, which cleans when nothing can come from here any more. */
function hold(hosted: HostedCluster, cleaning: string, released: AbortSignal): void {
  const stdin = new Readable({ read() {} });
  const options = { stdin, timeout: deadline * 1000, signal: released };
  hosted.exec('cleaner', testNamespace, ['sh', '-c', `cat >/dev/null; ${cleaning}`], options).catch(() => undefined);
}
