import { expect, test } from 'vitest';
import type { HostedControlPlane, Status } from './object.ts';
import type { ReconcileContext } from './plane-account.ts';
import { lookForUse } from './use.ts';

const seen: Status = { planeId: 'abc', unusedAt: '2026-11-01T10:00:00Z', lastUsed: '2026-11-01T09:00:00Z', usage: '7' };

/** What is written into the status by a look at such an object. */
async function toldOf(spec: HostedControlPlane['spec'], status: Status): Promise<Partial<Status>[]> {
  const told: Partial<Status>[] = [];
  const around = { tell: async (_: unknown, fields: Partial<Status>) => void told.push(fields) };
  const metadata = { name: 'k8sk8s', namespace: 'team' };
  const object = { apiVersion: 'k8sk8s.io/v1alpha1', kind: 'HostedControlPlane', metadata, spec, status };
  await lookForUse(object, around as unknown as ReconcileContext);
  return told;
}

test.each([
  ['no use is to be counted any more', {}],
  ['somebody said that it is awake', { sleepAfter: '1h', asleep: false }],
])('%s, so it does not fall asleep at once when uses count again', async (_, spec) => {
  expect(await toldOf(spec, seen)).toEqual([{ sleepsAt: null, unusedAt: null, lastUsed: null, usage: null }]);
  expect(await toldOf(spec, { planeId: 'abc' })).toEqual([]);
});

test('a plane that sleeps since nobody used it goes on sleeping', async () => {
  expect(await toldOf({ sleepAfter: '1h' }, seen)).toEqual([]);
});
