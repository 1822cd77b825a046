import { Readable } from 'node:stream';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ContainerStatus, Event, KubeObject, Pod } from '../kube/objects.ts';
import { templateHash } from '../plane/workloads.ts';
import { PodWatch } from './pod-watch.ts';

const template = 'hash-1';
const workload = {
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 'etcd' },
  spec: {
    replicas: 1,
    template: { metadata: { annotations: { [templateHash]: template } }, spec: { containers: [] } },
  },
} as KubeObject;

function pod(status: Pod['status'], hash = template): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'etcd-0',
      labels: { 'app.kubernetes.io/name': 'etcd' },
      annotations: { [templateHash]: hash },
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: { nodeName: 'node-1', containers: [{ name: 'etcd', image: 'etcd:1' }] },
    status,
  };
}

const waiting = (name: string, reason: string, restartCount = 0): ContainerStatus => ({
  name,
  ready: false,
  restartCount,
  image: `${name}:1`,
  state: { waiting: { reason } },
});

/** A watch over what a cluster tells, in this order, and the logs that it was asked for. */
function watchOf(pods: Pod[], events: Event[] = []) {
  const asked: (string | undefined)[] = [];
  const told = (kind: string): KubeObject[] => (kind === 'Pod' ? pods : events);
  const cluster = {
    namespace: 'team',
    list: async () => ({ metadata: {}, items: [] }),
    watch: async ({ kind }: { kind: string }) =>
      Readable.from(told(kind).map((object) => `${JSON.stringify({ type: 'MODIFIED', object })}\n`)),
    log: async (_: string, { container }: { container?: string }) => {
      asked.push(container);
      return 'unknown flag: --no-such';
    },
  } as unknown as InfraCluster;
  const watch = new PodWatch(cluster, 'plane-1');
  onTestFinished(() => watch.close());
  watch.expect([workload]);
  return { watch, asked };
}

const failureOf = (watch: PodWatch) =>
  vi.waitFor(() => {
    if (!watch.failure) throw new Error('nothing is known to be wrong');
    return watch.failure;
  });

test('a crash loop ends the wait with the last words of its container', async () => {
  const { watch, asked } = watchOf([pod({ containerStatuses: [waiting('etcd', 'CrashLoopBackOff')] })]);
  expect(await failureOf(watch)).toMatchObject({
    anchor: 'crash-loop',
    why: expect.stringContaining('--no-such'),
  });
  expect(asked).toEqual(['etcd']);
});

test('a container that a policy added is given time, and then named as one', async () => {
  const [early, late] = [1, 5].map((restarts) =>
    pod({ containerStatuses: [waiting('istio-proxy', 'CrashLoopBackOff', restarts)] }),
  );
  const patient = watchOf([early!]);
  await vi.waitFor(() => expect(patient.watch.waitingFor()).toContain('etcd'));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(patient.watch.failure).toBeUndefined();
  const { watch, asked } = watchOf([early!, late!]);
  expect(await failureOf(watch)).toMatchObject({
    anchor: 'added-container',
    what: expect.stringContaining('istio-proxy'),
  });
  expect(asked).toEqual(['istio-proxy']);
});

test('what ails a pod of an earlier template is no reason to stop', async () => {
  const { watch } = watchOf([pod({ containerStatuses: [waiting('etcd', 'ImagePullBackOff')] }, 'hash-0')]);
  await vi.waitFor(() => expect(watch.waitingFor()).toContain('ImagePullBackOff'));
  expect(watch.failure).toBeUndefined();
});

/** A StatefulSet's pod was refused a moment ago. */
const refusedByQuota = (): Event => ({
  apiVersion: 'v1',
  kind: 'Event',
  metadata: { name: 'e' },
  reason: 'FailedCreate',
  message: 'pods "etcd-0" is forbidden: exceeded quota: small',
  involvedObject: { kind: 'StatefulSet', name: 'etcd' },
  lastTimestamp: new Date().toISOString(),
});

test('a pod that the infra cluster refuses is told with its message', async () => {
  const event = refusedByQuota();
  const { watch } = watchOf([], [event]);
  expect(await failureOf(watch)).toMatchObject({ anchor: 'pod-refused', why: event.message });
});

test('who waits for one workload is not told what another one lacks', async () => {
  const { watch } = watchOf([], [refusedByQuota()]);
  await failureOf(watch);
  expect(watch.failureOf('etcd')).toMatchObject({ anchor: 'pod-refused' });
  expect(watch.failureOf('kube-apiserver')).toBeUndefined();
});

test("L9: a quota's refusal counts no more while another pod leaves its room, nor when the pod came after all", async () => {
  const event = refusedByQuota();
  const ending = pod({});
  ending.metadata.deletionTimestamp = new Date().toISOString();
  const came = pod({});
  came.metadata.creationTimestamp = new Date(Date.now() + 1000).toISOString();
  for (const [what, pods] of Object.entries({ ending: [ending], came: [came] })) {
    const { watch } = watchOf(pods, [event]);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(watch.failure, what).toBeUndefined();
  }
});
