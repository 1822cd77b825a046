import { afterEach, expect, test, vi } from 'vitest';
import type { Lease } from '../kube/objects.ts';
import { quietReporter } from '../ui/quiet.ts';
import { InfraStore } from './infra-store.fixture.ts';
import { leasePath, putPlane, recordPath } from './plane.fixture.ts';
import { withLock, withPlane } from './with-plane.ts';

// What the frame of operations promises, over a namespace in memory; the Lease itself is tested against a real API server.

afterEach(() => {
  vi.useRealTimers();
});

const work = (signal = new AbortController().signal) => ({ reporter: quietReporter, timeout: 1000, signal });
const holder = (store: InfraStore) => store.get<Lease>(leasePath)?.spec.holderIdentity;

async function planeIn(...record: Parameters<typeof putPlane> extends [unknown, ...infer Rest] ? Rest : never) {
  const store = new InfraStore();
  await putPlane(store, ...record);
  return store;
}

test('the plane is read after the lock is taken, and the lock is given back', async () => {
  const store = await planeIn();
  const seen = await withPlane(store.cluster, 'test', work(), async ({ record, held }) => {
    expect(holder(store)).toContain('test by');
    expect(held.cluster.namespace).toBe('team');
    return record.planeId;
  });
  expect(seen).toBe('plane-0123456789');
  expect(holder(store)).toBe('');
  const taken = store.requests.indexOf('POST leases');
  expect(store.requests.findIndex((each) => each.startsWith('GET secrets/'))).toBeGreaterThan(taken);
});

test('the lock is given back when the work fails, and where the plane cannot be read', async () => {
  const store = await planeIn();
  const failing = async () => {
    throw new Error('the cause');
  };
  await expect(withPlane(store.cluster, 'test', work(), failing)).rejects.toThrow('the cause');
  expect(holder(store)).toBe('');
  store.objects.delete('services/apiserver');
  await expect(withPlane(store.cluster, 'test', work(), failing)).rejects.toMatchObject({ anchor: 'plane-incomplete' });
  expect(holder(store)).toBe('');
});

test('a plane that sleeps is refused unless the operation copes with it', async () => {
  const store = await planeIn({ asleep: { since: '2026-01-01T00:00:00Z', replicas: {} } });
  const run = vi.fn(async () => 'done');
  await expect(withPlane(store.cluster, 'test', work(), run)).rejects.toMatchObject({ anchor: 'plane-asleep' });
  expect(run).not.toHaveBeenCalled();
  expect(await withPlane(store.cluster, 'test', work(), run, { asleep: 'allowed' })).toBe('done');
});

test.each([
  ['restoring', 'restore-unfinished'],
  ['deploying', 'plane-incomplete'],
] as const)(
  'a plane that is still %s is refused: a component that were started now would begin empty',
  async (phase, anchor) => {
    const store = await planeIn({ phase });
    const run = vi.fn(async () => 'done');
    await expect(withPlane(store.cluster, 'test', work(), run)).rejects.toMatchObject({ anchor });
    expect(run).not.toHaveBeenCalled();
    expect(holder(store)).toBe('');
    expect(await withPlane(store.cluster, 'test', work(), run, { phase: 'any' })).toBe('done');
  },
);

test('no lease is made for a plane that is not there, and none is left in a namespace without a plane', async () => {
  const store = new InfraStore();
  await expect(withPlane(store.cluster, 'test', work(), async () => 1)).rejects.toMatchObject({ anchor: 'no-plane' });
  expect(store.requests.filter((each) => each.includes('leases'))).toEqual([]);
  await withLock(store.cluster, 'test', work(), async () => expect(holder(store)).toContain('test by'));
  expect(store.get(leasePath)).toBeUndefined();
  await putPlane(store);
  await withLock(store.cluster, 'test', work(), async () => void store.objects.delete(recordPath));
  expect(store.get(leasePath)).toBeUndefined();
});

test('an interruption is thrown as its own reason, whatever error follows from it', async () => {
  const store = await planeIn();
  const interruption = new AbortController();
  const run = withPlane(store.cluster, 'test', work(interruption.signal), async ({ held }) => {
    interruption.abort(new Error('interrupted by SIGINT'));
    expect(held.signal.aborted).toBe(true);
    throw new Error('socket hang up');
  });
  await expect(run).rejects.toThrow('interrupted by SIGINT');
  expect(holder(store)).toBe('');
  const late = withPlane(store.cluster, 'test', work(interruption.signal), async () => 1);
  await expect(late).rejects.toThrow('interrupted by SIGINT');
});

test('a lock that another run has taken over ends the work, and is left to the other', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const store = await planeIn();
  for (const outcome of [async () => 'done', () => Promise.reject(new Error('not reached'))]) {
    const run = withPlane(store.cluster, 'test', work(), async ({ held }) => {
      const lease = store.get<Lease>(leasePath)!;
      store.put(leasePath, { ...lease, spec: { ...lease.spec, holderIdentity: 'another' } } as Lease);
      vi.advanceTimersByTime(5000);
      await new Promise((resolve) => held.signal.addEventListener('abort', resolve));
      return outcome();
    });
    await expect(run).rejects.toMatchObject({ anchor: 'plane-busy', why: expect.stringContaining('another') });
    expect(holder(store)).toBe('another');
    store.objects.delete(leasePath);
  }
});
