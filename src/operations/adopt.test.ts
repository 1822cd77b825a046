import { expect, test, vi } from 'vitest';
import { refused } from '../../test/refused.ts';
import type { KubeObject } from '../kube/objects.ts';
import { followedBy } from '../live/followed.ts';
import { InfraStore } from '../live/infra-store.fixture.ts';
import { putPlane, recordPath } from '../live/plane.fixture.ts';
import { requireRecord } from '../live/record.ts';
import { lifetimeKind, lifetimeName } from '../plane/names.ts';
import { quietReporter } from '../ui/quiet.ts';
import { adoptPlane } from './adopt.ts';

test('no object is made for a plane that cannot follow one', async () => {
  const store = new InfraStore();
  await putPlane(store);
  const make = vi.fn(async () => 'uid-of-object');
  const work = { reporter: quietReporter, timeout: 300, signal: new AbortController().signal };
  const adopt = async () =>
    adoptPlane(store.cluster, { uid: make, agreed: await requireRecord(store.cluster), ...work });
  store.put(`jobs/${lifetimeName}`, { ...lifetimeKind, metadata: { name: lifetimeName } } as KubeObject);
  await expect(adopt()).rejects.toEqual(refused('lifetime', 'team'));
  expect(make).not.toHaveBeenCalled();
  store.objects.delete(`jobs/${lifetimeName}`);
  await adopt();
  expect(followedBy(store.get(recordPath))).toBe('uid-of-object');
});
