import { expect, test } from 'vitest';
import { hostedControlPlane } from '../config/hosted-control-plane.ts';
import type { ConfigMap, Job, KubeObject } from '../kube/objects.ts';
import { lifetimeName } from '../plane/names.ts';
import { quietReporter } from '../ui/quiet.ts';
import { InfraStore } from './infra-store.fixture.ts';
import { lifetimeOf } from './lifetime.ts';
import { putPlane } from './plane.fixture.ts';
import { withLock, withPlane } from './with-plane.ts';

const work = { reporter: quietReporter, timeout: 1000, signal: new AbortController().signal };
const jobPath = `jobs/${lifetimeName}`;

function job(status: Job['status'], seconds?: number): Job {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: lifetimeName },
    spec: seconds === undefined ? {} : { activeDeadlineSeconds: seconds },
    status,
  };
}

async function planeWith(status: Job['status']): Promise<{ store: InfraStore; uid: string }> {
  const store = new InfraStore();
  await putPlane(store);
  return { store, uid: store.put(jobPath, job(status, 60)).metadata.uid! };
}

const ownersOf = (object: KubeObject | undefined) => object?.metadata.ownerReferences?.map(({ uid }) => uid);

test('the deadline counts from when the Job controller saw the Job, or from now', () => {
  const now = new Date('2026-01-01T12:00:00Z');
  expect(lifetimeOf(undefined, now)).toBeUndefined();
  expect(lifetimeOf(job({ startTime: '2026-01-01T11:59:00Z' }, 3600), now)).toEqual({
    endsAt: '2026-01-01T12:59:00Z',
    counted: true,
  });
  expect(lifetimeOf(job({}, 3600), now)).toEqual({ endsAt: '2026-01-01T13:00:00Z', counted: false });
  expect(lifetimeOf(job({ startTime: '2026-01-01T11:59:00Z' }), now)).toEqual({ counted: true });
});

test('what an operation makes has the owner of the plane, and so has what was there, once it has ended', async () => {
  const { store, uid } = await planeWith({ startTime: '2026-01-01T00:00:00Z' });
  expect(ownersOf(store.get('configmaps/k8sk8s'))).toBeUndefined();
  const made: ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'made' } };
  await withPlane(store.cluster, 'test', work, ({ held }) => held.cluster.create(made));
  expect(ownersOf(store.get('configmaps/made'))).toEqual([uid]);
  expect(ownersOf(store.get('configmaps/k8sk8s'))).toEqual([uid]);
  expect(ownersOf(store.get('leases/k8sk8s'))).toEqual([uid]);
});

test('what a command makes of a plane that follows an object goes with that object', async () => {
  const store = new InfraStore();
  await putPlane(store);
  const record = store.get<ConfigMap>('configmaps/k8sk8s')!;
  const owner = { ...hostedControlPlane, name: 'k8sk8s', uid: 'of-the-object' };
  store.put('configmaps/k8sk8s', { ...record, metadata: { ...record.metadata, ownerReferences: [owner] } });
  const made: ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'made' } };
  await withPlane(store.cluster, 'certs rotate-ca', work, ({ held }) => held.cluster.apply(made));
  expect(ownersOf(store.get('configmaps/made'))).toEqual(['of-the-object']);
});

test('an owner that was taken off meanwhile is named on nothing', async () => {
  const { store } = await planeWith({ startTime: '2026-01-01T00:00:00Z' });
  await withPlane(store.cluster, 'test', work, async () => store.objects.delete(jobPath));
  expect(ownersOf(store.get('configmaps/k8sk8s'))).toBeUndefined();
});

test.each([
  ['has passed', { conditions: [{ type: 'Failed', status: 'True' }] }],
  ['is about to pass', { conditions: [{ type: 'FailureTarget', status: 'True' }] }],
])('nothing is made of a plane whose deadline %s, and destroy goes on', async (_, status) => {
  const { store } = await planeWith(status);
  const run = async () => 'done';
  await expect(withPlane(store.cluster, 'test', work, run)).rejects.toMatchObject({ anchor: 'lifetime' });
  expect(await withLock(store.cluster, 'destroy', work, run, { ending: 'allowed' })).toBe('done');
});
