import { expect, test } from 'vitest';
import { parseSpec } from '../config/parse.ts';
import { ApiError } from '../kube/errors.ts';
import type { ConfigMap } from '../kube/objects.ts';
import { type NetworkFinding, type PlaneRecord, parseRecord, recordKind, toConfigMap } from '../plane/record.ts';
import { quietReporter } from '../ui/quiet.ts';
import type { Held } from './held.ts';
import { InfraStore } from './infra-store.fixture.ts';
import { putPlane, recordPath } from './plane.fixture.ts';
import { ensureRecord, markFinished, markUnfinished, updateRecord, updateUnfinished } from './record.ts';
import { withLock } from './with-plane.ts';

// Who writes the record in which order, over a namespace in memory.

async function holding(record: Partial<PlaneRecord>, work: (held: Held, store: InfraStore) => Promise<void>) {
  const store = new InfraStore();
  await putPlane(store, record);
  const patience = { reporter: quietReporter, timeout: 1000, signal: new AbortController().signal };
  await withLock(store.cluster, 'test', patience, (held) => work(held, store));
  return store;
}

const recordIn = (store: InfraStore) => parseRecord(store.get<ConfigMap>(recordPath)!)!;
const since = expect.stringMatching(/^20/);

test('a change leaves alone what was written since the record was read', async () => {
  const store = await holding({}, async (held, store) => {
    let raced = false;
    store.before = ({ method, path }) => {
      if (method !== 'PUT' || !path.endsWith(recordPath) || raced) return;
      raced = true;
      const network: NetworkFinding = { policies: 'enforced', reached: [], at: '2026-01-01T00:00:00Z' };
      const before = store.get<ConfigMap>(recordPath)!;
      store.put(recordPath, { ...before, ...toConfigMap({ ...recordIn(store), network }) });
    };
    await updateRecord(held, (record) => ({ ...record, losses: (record.losses ?? 0) + 1 }));
  });
  expect(recordIn(store)).toMatchObject({ losses: 1, network: { policies: 'enforced' } });
});

test('labels and data of others stay on the ConfigMap, and nothing is written where nothing changes', async () => {
  await holding({}, async (held, store) => {
    const before = store.get<ConfigMap>(recordPath)!;
    const metadata = {
      ...before.metadata,
      annotations: { team: 'a' },
      labels: { ...before.metadata.labels, team: 'a' },
    };
    store.put(recordPath, { ...before, metadata } as ConfigMap);
    await updateRecord(held, (record) => ({ ...record }));
    expect(store.requests.filter((each) => each === `PUT ${recordPath}`)).toEqual([]);
    await updateRecord(held, (record) => ({ ...record, losses: 1 }));
    expect(store.get(recordPath)!.metadata).toMatchObject({ annotations: { team: 'a' }, labels: { team: 'a' } });
  });
});

test('lease and record are made also where the server fails at first, acted upon or not', async () => {
  const store = new InfraStore();
  const failures = new Map([
    ['leases', 2],
    ['configmaps', 2],
  ]);
  store.before = ({ method, path }) => {
    const kind = path.split('/').at(-1)!;
    const left = failures.get(kind) ?? 0;
    if (method !== 'POST' || left === 0) return;
    failures.set(kind, left - 1);
    throw new ApiError({ status: 503, reason: 'ServiceUnavailable', message: 'in a test' });
  };
  const patience = { reporter: quietReporter, timeout: 1000, signal: new AbortController().signal };
  const spec = parseSpec({ host: 'localhost' }, 'in a test');
  const made = await withLock(store.cluster, 'test', patience, (held) => ensureRecord(held, spec));
  expect(recordIn(store).planeId).toBe(made.planeId);
});

test('a writer that never stops is told of instead of waited for', async () => {
  await holding({}, async (held, store) => {
    store.before = ({ method, path }) => {
      if (method === 'PUT' && path.endsWith(recordPath)) store.put(recordPath, store.get(recordPath)!);
    };
    await expect(updateRecord(held, (record) => ({ ...record, losses: 1 }))).rejects.toMatchObject({
      anchor: 'conflict',
    });
    expect(store.requests.filter((each) => each === `PUT ${recordPath}`).length).toBeLessThan(10);
  });
});

test('without a record, and after the lock is lost, nothing is written', async () => {
  const lost = new AbortController();
  await holding({}, async (held, store) => {
    lost.abort(new Error('taken over'));
    const without = { ...held, signal: lost.signal };
    await expect(updateRecord(without, (record) => ({ ...record, losses: 1 }))).rejects.toThrow('taken over');
    store.objects.delete(recordPath);
    await expect(held.cluster.get(recordKind, 'k8sk8s')).resolves.toBeUndefined();
    await expect(updateRecord(held, (record) => record)).rejects.toMatchObject({ anchor: 'no-plane' });
  });
});

const marks: Record<string, (held: Held) => Promise<void>> = {
  'rotate-ca': (held) => updateUnfinished(held, 'rotate-ca', () => ({ drops: ['components' as const] })),
  'rotate-service-account-key': (held) => markUnfinished(held, 'rotate-service-account-key'),
  'encrypt-rotate': (held) => markUnfinished(held, 'encrypt-rotate'),
  'etcd-repair': (held) => markUnfinished(held, 'etcd-repair'),
};
const pairs = Object.keys(marks).flatMap((killed) =>
  Object.keys(marks)
    .filter((other) => other !== killed)
    .map((other) => [killed, other] as const),
);

test.each(pairs)('what %s left unfinished is still known after %s has run', async (killed, other) => {
  const store = await holding({}, async (held) => {
    await marks[killed]!(held);
    await marks[other]!(held);
    await markFinished(held, other as 'etcd-repair');
  });
  expect(recordIn(store).unfinished).toEqual({ [killed]: expect.objectContaining({ since }) });
});
