import { expect, test } from 'vitest';
import { parseSpec } from '../../../config/parse.ts';
import type { Workload } from '../../../kube/objects.ts';
import { vxlanPort } from '../../networks/flannel/flannel.ts';
import { templateHashOf } from '../../workloads.ts';
import { buildWorkerPods, trialWorkerPod, workerPodName, workerPodNumber } from './worker-pods.ts';

const specOf = (more: object) =>
  parseSpec({ host: 'k.example.com', workerPods: 2, workerImage: 'worker:1', ...more }, 'a test');
const statefulSet = (more: object = {}, options = {}) =>
  buildWorkerPods('plane-1', specOf(more), { joins: 'k.example.com', ...options }).find(
    ({ kind }) => kind === 'StatefulSet',
  ) as Workload;

test('a plane without worker pods has none of their objects, and flannel its usual port', () => {
  expect(buildWorkerPods('plane-1', specOf({ workerPods: 0 }), { joins: '' })).toEqual([]);
  expect(vxlanPort(specOf({ workerPods: 0 }))).toBe(8472);
  expect([8472, 4789]).not.toContain(vxlanPort(specOf({})));
});

test('names have numbers, and only those of worker pods', () => {
  expect(workerPodNumber(workerPodName(12))).toBe(12);
  for (const name of ['worker-1', 'worker-pod', 'worker-pod-01', 'worker-pod-1-x', 'a-worker-pod-1'])
    expect(workerPodNumber(name)).toBeUndefined();
});

test('a plane that sleeps keeps the StatefulSet without pods', () => {
  expect(statefulSet({}, { asleep: true }).spec.replicas).toBe(0);
});

test('pods are replaced for another image, place or HOST, and neither for their number nor for another Kubernetes version of the plane', () => {
  const hash = (more: object) => templateHashOf(statefulSet(more));
  for (const same of [{ workerPods: 3 }, { kubernetesVersion: '1.36' }]) expect(hash(same)).toBe(hash({}));
  for (const other of [{ workerImage: 'worker:2' }, { nodeSelector: { pool: 'a' } }])
    expect(hash(other)).not.toBe(hash({}));
  expect(templateHashOf(statefulSet({}, { joins: 'other.example.com' }))).not.toBe(hash({}));
});

test('the same size in other words replaces no pod', () => {
  const hash = (workerStorage: string, workerResources: string) =>
    templateHashOf(statefulSet({ workerStorage, workerResources }));
  const once = hash('20Gi', 'cpu=2,memory=4Gi');
  expect(hash('20480Mi', 'cpu=2000m,memory=4096Mi')).toBe(once);
  expect(hash('20G', 'cpu=2,memory=4Gi')).not.toBe(once);
  expect(hash('20Gi', 'cpu=2,memory=5Gi')).not.toBe(once);
});

test('without a proxy a worker pod has no variable of one, and with one it is told what the infra cluster has', () => {
  const variables = (more: object) =>
    Object.fromEntries(
      (
        statefulSet(more, { infraServices: ['10.96.0.0/12'] }).spec.template.spec.containers[0] as {
          env?: { name: string; value?: string }[];
        }
      ).env!.map(({ name, value }) => [name, value]),
    );
  expect(Object.keys(variables({})).filter((name) => name.includes('PROXY'))).toEqual([]);
  const proxy = 'http://proxy.example.com:3128';
  const given = variables({ workerHttpsProxy: proxy, workerProxyExceptions: '.example.com,10.1.0.0/16' });
  expect(given).toMatchObject({ HTTPS_PROXY: proxy, NO_PROXY: '10.96.0.0/12,.example.com,10.1.0.0/16' });
  expect(given).not.toHaveProperty('HTTP_PROXY');
});

test('a worker pod is tried as it will be', () => {
  expect(trialWorkerPod('plane-1', specOf({ runtimeClassName: 'kata', podLabels: { team: 'a' } }))).toMatchObject({
    kind: 'Pod',
    metadata: { labels: { team: 'a' } },
    spec: { runtimeClassName: 'kata', containers: [{ securityContext: { privileged: true } }] },
  });
});
