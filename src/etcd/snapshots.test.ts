import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { refused } from '../../test/refused.ts';
import { InfraStore } from '../live/infra-store.fixture.ts';
import { storedSnapshot } from './snapshots.ts';

// Whoever has `edit` in a namespace writes its Secrets and its record, and an operator that wakes the plane reads them.

const kept = { parts: 1, size: 1, sha256: 'none', revision: 2 };

test('a stored snapshot that grows without measure is not unpacked', async () => {
  const store = new InfraStore();
  const member = gzipSync(Buffer.alloc(16 << 20));
  const part = Buffer.concat(Array(17).fill(member)).toString('base64');
  store.put('secrets/etcd-snapshot-0', {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'etcd-snapshot-0' },
    data: { part },
  } as never);
  await expect(storedSnapshot(store.cluster, kept)).rejects.toEqual(refused('kept-snapshot', `${256 << 20}`));
});

test('more parts than there can be are not read', async () => {
  const store = new InfraStore();
  await expect(storedSnapshot(store.cluster, { ...kept, parts: 1000 })).rejects.toEqual(refused('kept-snapshot'));
  expect(store.requests).toEqual([]);
});
