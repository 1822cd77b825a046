import { Duplex } from 'node:stream';
import { afterEach, expect, test, vi } from 'vitest';
import { refused } from '../../test/refused.ts';
import type { KubeObject } from '../kube/objects.ts';
import { logStoreName } from '../plane/beside/log-store/log-store.ts';
import type { PlaneRecord } from '../plane/record.ts';
import { InfraStore } from './infra-store.fixture.ts';
import { LogStore } from './log-store.ts';

afterEach(() => {
  vi.useRealTimers();
});

test('a store that is frozen, whose port accepts connections all the same, is not waited for without an end', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const store = new InfraStore();
  const object = (kind: string, name: string, more: object) =>
    ({ apiVersion: 'v1', kind, metadata: { name }, ...more }) as KubeObject;
  store.put(`pods/${logStoreName}-0`, object('Pod', `${logStoreName}-0`, { spec: {}, status: {} }));
  store.put(`secrets/${logStoreName}`, object('Secret', logStoreName, { data: { password: 'eA==' } }));
  const { cluster } = store;
  const silent = new Duplex({ read: () => undefined, write: (_, __, done) => done() });
  cluster.forward = async () => silent;
  const logs = await LogStore.of(cluster, { planeId: 'p', spec: { logs: true } } as PlaneRecord);
  const asked = expect(logs.query('*', { limit: 1 }).next()).rejects.toEqual(
    refused('log-store-unreachable', 'nothing came'),
  );
  await vi.advanceTimersByTimeAsync(60_000);
  await asked;
  expect(silent.destroyed).toBe(true);
});
