import { expect, test } from 'vitest';
import { storeParts } from '../etcd/snapshots.ts';
import { InfraStore } from '../live/infra-store.fixture.ts';
import { putPlane } from '../live/plane.fixture.ts';
import { labelsOf } from '../plane/names.ts';
import { quietReporter } from '../ui/quiet.ts';
import { wakePlane } from './sleep.ts';

const planeId = 'plane-0123456789';

/** A plane that is awake, with what a killed command left of a snapshot in five Secrets. */
async function withParts(): Promise<InfraStore> {
  const store = new InfraStore();
  await putPlane(store, {}, { etcdStorage: 'ephemeral' });
  for (let part = 0; part < 5; part++) {
    const name = `etcd-snapshot-${part}`;
    const metadata = { name, labels: labelsOf(planeId, 'etcd', '1') };
    store.put(`secrets/${name}`, { apiVersion: 'v1', kind: 'Secret', metadata });
  }
  return store;
}

const partsIn = ({ objects }: InfraStore) => [...objects.keys()].filter((key) => key.includes('snapshot')).sort();

test('a snapshot that is smaller than the one before leaves no part of that', async () => {
  const store = await withParts();
  const record = { planeId, spec: { host: 'k.test' } };
  expect(await storeParts(store.cluster, record, Buffer.alloc(1_500_000))).toBe(2);
  expect(partsIn(store)).toEqual(['secrets/etcd-snapshot-0', 'secrets/etcd-snapshot-1']);
  expect(store.objects.has('secrets/etcd')).toBe(true);
});

test('of a plane that is awake, wake deletes the snapshot that a killed run left, and nothing else', async () => {
  const store = await withParts();
  const work = { reporter: quietReporter, timeout: 1000, signal: new AbortController().signal };
  expect(await wakePlane(store.cluster, work)).toBeUndefined();
  expect(partsIn(store)).toEqual([]);
  expect(store.objects.has('secrets/etcd')).toBe(true);
});
