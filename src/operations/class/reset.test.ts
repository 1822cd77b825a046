import { expect, test } from 'vitest';
import { refused } from '../../../test/refused.ts';
import type { ClusterSpecInput } from '../../config/schema.ts';
import { InfraStore } from '../../live/infra-store.fixture.ts';
import { putPlane, recordPath } from '../../live/plane.fixture.ts';
import { quietReporter } from '../../ui/quiet.ts';
import type { Lesson } from './queue.ts';
import { resetPlane } from './reset.ts';

// A plane in memory, whose infra cluster answers little of what preflight asks, so deploy would refuse.

const anna = { name: 'anna', namespace: 'team', host: 'localhost' };

async function afterReset(spec: Partial<ClusterSpecInput>): Promise<{ store: InfraStore; error: unknown }> {
  const store = new InfraStore();
  await putPlane(store, {}, spec);
  const board = { tell: () => undefined, reporterOf: () => quietReporter };
  const signal = new AbortController().signal;
  const lesson: Lesson = { cluster: store.cluster, parallel: 1, board, timeout: 300, signal };
  const [outcome] = await resetPlane(anna, lesson, { folder: 'none' });
  return { store, error: (outcome as { error: unknown }).error };
}

test('a plane stays of which deploy would refuse the next one', async () => {
  const { store, error } = await afterReset({});
  expect(error).toBeDefined();
  expect(store.requests.filter((request) => /^(DELETE|POST leases)/.test(request))).toEqual([]);
  expect(store.get(recordPath)).toBeDefined();
});

test('a plane stays whose next CA would have to be sealed', async () => {
  const { store, error } = await afterReset({ seal: 'passphrase-file' });
  expect(error).toEqual(refused('seal-file', 'team'));
  expect(store.requests.filter((request) => request.startsWith('DELETE'))).toEqual([]);
});
