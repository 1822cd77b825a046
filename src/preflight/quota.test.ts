import { expect, test } from 'vitest';
import { parseSpec } from '../config/parse.ts';
import { labelsOf } from '../plane/names.ts';
import { objectDemand, podDemand, type Quota, shortages } from './quota.ts';
import type { Container, PodResources } from './trials.ts';

function quota(hard: Record<string, string>, used: Record<string, string> = {}, spec: Quota['spec'] = {}): Quota {
  return { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'team' }, spec, status: { hard, used } };
}

function pod(containers: Container[], initContainers: Container[] = []): PodResources {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' }, spec: { containers, initContainers } };
}

test('what is left is what counts, and never less than nothing', () => {
  expect(shortages([quota({ pods: '6' }, { pods: '3' })], { pods: 4 })).toEqual([
    { quota: 'team', resource: 'pods', free: 3, wanted: 4 },
  ]);
  expect(shortages([quota({ pods: '2' }, { pods: '5' })], { pods: 1 })[0]?.free).toBe(0);
  expect(shortages([quota({ pods: '6' }, { pods: '2' })], { pods: 4 })).toEqual([]);
});

test('sums of fractions do not miss an exact fit', () => {
  const wanted = { 'requests.cpu': 0.025 + 0.05 + 0.02 + 0.01 };
  expect(wanted['requests.cpu']).toBeGreaterThan(0.105);
  expect(shortages([quota({ 'requests.cpu': '105m' })], wanted)).toEqual([]);
});

test('nothing is wanted of a full quota', () => {
  expect(shortages([quota({ secrets: '6' }, { secrets: '6' })], { secrets: 0 })).toEqual([]);
});

test('a quota without a status, or with an amount that cannot be read, says nothing', () => {
  expect(shortages([{ ...quota({}), status: undefined }], { pods: 4 })).toEqual([]);
  expect(shortages([quota({ pods: 'few' })], { pods: 4 })).toEqual([]);
});

test.each([
  [{ scopes: ['Terminating'] }, 0],
  [{ scopes: ['NotTerminating'] }, 1],
  [{ scopes: ['BestEffort'] }, 0],
  [{ scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In' }] } }, 0],
])('of a quota with %j, %d shortage is told', (spec, count) => {
  expect(shortages([quota({ pods: '1' }, {}, spec)], { pods: 4 })).toHaveLength(count);
});

test('a pod takes what its containers and sidecars take together, or its greediest init container', () => {
  const cpu = (amount: string, more: Partial<Container> = {}): Container => ({
    resources: { requests: { cpu: amount } },
    ...more,
  });
  expect(podDemand(pod([cpu('100m'), cpu('200m')]))['requests.cpu']).toBeCloseTo(0.3);
  expect(podDemand(pod([cpu('100m')], [cpu('1')]))['requests.cpu']).toBe(1);
  expect(podDemand(pod([cpu('100m')], [cpu('200m', { restartPolicy: 'Always' })]))['requests.cpu']).toBeCloseTo(0.3);
  expect(podDemand(pod([{ resources: { limits: { memory: '1Gi' } } }]))).toEqual({ 'limits.memory': 2 ** 30 });
});

test('each port of a service takes a node port, and policies and budgets count as any object', () => {
  const spec = parseSpec({ host: 'k.example.com', egress: 'konnectivity', replicas: 2 }, 'test');
  const none = { find: () => undefined, ofKind: () => [] };
  expect(objectDemand(none, spec, { kind: 'ephemeral' })).toMatchObject({
    services: 2,
    'services.nodeports': 2,
    'services.loadbalancers': 0,
    'count/networkpolicies.networking.k8s.io': 4,
    'count/poddisruptionbudgets.policy': 3,
    'requests.storage': 0,
  });
  const balanced = parseSpec({ host: 'k.example.com', inCluster: 'loadbalancer' }, 'test');
  expect(objectDemand(none, balanced, undefined)).toMatchObject({
    'services.nodeports': 2,
    'services.loadbalancers': 1,
  });
  const workers = parseSpec({ host: 'k.example.com', workerPods: 2, workerImage: 'worker:1' }, 'test');
  expect(objectDemand(none, workers, undefined)).toMatchObject({
    'count/networkpolicies.networking.k8s.io': 5,
    'count/statefulsets.apps': 2,
  });
  const ofServices = {
    find: ({ kind }: { kind: string }) => (kind === 'Service' ? ({} as never) : undefined),
    ofKind: () => [],
  };
  expect(objectDemand(ofServices, balanced, undefined)).toMatchObject({ services: 0, 'services.loadbalancers': 0 });
});

test('P6: claims that are to grow take of the quota what they ask for in addition, all of them together', () => {
  const claim = (name: string, storage: string, component = 'etcd') => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name, labels: labelsOf('plane-1', component, '1') },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
  });
  // The log store's claim stays as it is, however large etcd's volumes are.
  const claims = [claim('data-etcd-0', '5Gi'), claim('data-etcd-1', '5Gi'), claim('log-store', '1Gi', 'log-store')];
  const existing = {
    find: ({ metadata: { name } }: { metadata: { name: string } }) =>
      claims.find(({ metadata }) => metadata.name === name) as never,
    ofKind: (kind: string) => (kind === 'PersistentVolumeClaim' ? claims : []) as never,
  };
  const spec = parseSpec({ host: 'k.example.com', etcdMembers: 3 }, 'test');
  const gibibyte = 2 ** 30;
  const demand = (size: string) => objectDemand(existing, spec, { kind: 'volume', size })['requests.storage'];
  expect(demand('20Gi')).toBe(50 * gibibyte);
  expect(demand('5Gi')).toBe(5 * gibibyte);
});
