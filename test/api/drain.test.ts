import { afterEach, beforeEach, expect, test } from 'vitest';
import { cordon, drain, open, removeNode } from '../../src/hosted/worker-pods/drain.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { KubeObject, Node, Pod } from '../../src/kube/objects.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { soon } from '../until.ts';
import { connectAsHosted, newNamespace } from './world.ts';

// Draining a worker. Nothing schedules pods here, so they name their Node themselves; with a grace of 0 an eviction deletes them.

const podKind = { apiVersion: 'v1', kind: 'Pod' };
const nodeKind = { apiVersion: 'v1', kind: 'Node' };
const work = { reporter: quietReporter, timeout: 40_000, signal: new AbortController().signal };
let hosted: HostedCluster;
let namespace: string;
let node: string;

beforeEach(async () => {
  hosted = await connectAsHosted();
  namespace = (await newNamespace()).name;
  node = `node-of-${namespace}`;
  await hosted.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } });
  await hosted.create({
    ...nodeKind,
    metadata: { name: node },
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  } as KubeObject);
});

afterEach(async () => {
  await removeNode(hosted, node);
});

const found = async () => (await hosted.get<Node>(nodeKind, node))!;
const pods = async () => (await hosted.list<Pod>(podKind, { namespace })).items.map(({ metadata }) => metadata.name);
const pod = (name: string) =>
  hosted.create({
    ...podKind,
    metadata: { name, namespace, labels: { app: 'web' } },
    spec: {
      nodeName: node,
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      tolerations: [{ operator: 'Exists' }],
      containers: [{ name: 'web', image: 'web' }],
    },
  } as KubeObject);

test('a pod that is made anew on the very Node does not keep a drain from its end', async () => {
  await pod('web-0');
  const ended = new AbortController();
  const controller = (async () => {
    for (let number = 1; !ended.signal.aborted; number++) {
      await expect.poll(pods, { ...soon, interval: 20 }).toEqual([]);
      await pod(`web-${number}`);
      if (number === 8) return;
    }
  })();
  await drain(hosted, node, work);
  ended.abort();
  expect((await found()).spec?.unschedulable).toBe(true);
  // Whoever made pods anew may be about to.
  await expect.poll(pods, soon).toHaveLength(1);
  await removeNode(hosted, node);
  await controller.catch(() => {});
  await removeNode(hosted, node);
  expect(await pods()).toEqual([]);
});

test('a budget that allows no eviction is named when the time is over', async () => {
  await pod('web');
  // No budget is asked about a pod that does not run.
  await hosted.transport.request({
    method: 'PATCH',
    path: `/api/v1/namespaces/${namespace}/pods/web/status`,
    body: { status: { phase: 'Running' } },
    contentType: 'application/merge-patch+json',
  });
  await hosted.create({
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: 'never', namespace },
    spec: { maxUnavailable: 0, selector: { matchLabels: { app: 'web' } } },
  } as KubeObject);
  await expect(drain(hosted, node, { ...work, timeout: 3000 })).rejects.toMatchObject({
    anchor: 'worker-drain',
    what: expect.stringContaining('"web"'),
    why: expect.stringContaining('disruption budget'),
  });
});

test('a Node is opened again where a drain closed it, and stays closed where somebody else did', async () => {
  await cordon(hosted, await found());
  await open(hosted, await found());
  expect((await found()).spec?.unschedulable).toBeUndefined();
  await hosted.merge(nodeKind, node, { spec: { unschedulable: true } });
  await cordon(hosted, await found());
  await open(hosted, await found());
  expect((await found()).spec?.unschedulable).toBe(true);
});
