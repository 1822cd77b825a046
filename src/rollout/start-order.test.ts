import { expect, test } from 'vitest';
import type { Workload } from '../kube/objects.ts';
import { startOrder } from './start-order.ts';

const names = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'];
const workloads = names.map((name) => ({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name } }));

/** The names of each stage where the workloads named have so many pods already. */
function order(pods: Record<string, number>): string[][] {
  const { first, apiServer, clients } = startOrder(workloads, ({ metadata: { name } }) =>
    pods[name] === undefined ? undefined : ({ spec: { replicas: pods[name] } } as Workload),
  );
  return [first, apiServer, clients].map((stage) => stage.map(({ metadata }) => metadata.name));
}

test('a first deploy starts etcd, then the API server, then its clients', () => {
  expect(order({})).toEqual([['etcd'], ['kube-apiserver'], ['kube-controller-manager', 'kube-scheduler']]);
});

test('what runs is changed at once', () => {
  expect(order(Object.fromEntries(names.map((name) => [name, 1])))).toEqual([names, [], []]);
});

test('a plane that sleeps is started as a new one, and one that was interrupted goes on', () => {
  expect(order(Object.fromEntries(names.map((name) => [name, 0])))).toEqual(order({}));
  expect(order({ etcd: 1, 'kube-apiserver': 1 })).toEqual([
    ['etcd', 'kube-apiserver'],
    [],
    ['kube-controller-manager', 'kube-scheduler'],
  ]);
});
