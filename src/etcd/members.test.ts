import { expect, test } from 'vitest';
import { Existing } from '../live/apply.ts';
import { InfraStore } from '../live/infra-store.fixture.ts';
import { presentMembers } from './members.ts';

const statefulSet = (name: string, replicas: number) => ({
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name },
  spec: { replicas },
});

test('worker pods are no members of etcd', async () => {
  const store = new InfraStore();
  store.put('statefulsets/worker-pod', statefulSet('worker-pod', 3));
  const members = async () => presentMembers(await Existing.read(store.cluster));
  expect(await members()).toBe(0);
  store.put('statefulsets/etcd', statefulSet('etcd', 1));
  expect(await members()).toBe(1);
});
