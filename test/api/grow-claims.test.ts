import { beforeAll, expect, test } from 'vitest';
import { ApiError } from '../../src/kube/errors.ts';
import type { KubeObject, PersistentVolumeClaim } from '../../src/kube/objects.ts';
import { Existing } from '../../src/live/apply.ts';
import { growClaims } from '../../src/live/grow-claims.ts';
import { claimName } from '../../src/plane/names.ts';
import { claimTemplate, type Volume } from '../../src/plane/storage.ts';
import { connectByFile } from '../connect-by-file.ts';
import { refused } from '../refused.ts';
import { until } from '../until.ts';
import { adminKubeconfig, type Delegate, newNamespace, request } from './world.ts';

// What an API server says about claims that are to grow: by the StorageClass, by a LimitRange, by a quota.

const planeId = 'plane-0123456789';
const volume = (size: string, storageClass: string): Volume => ({
  kind: 'volume',
  size,
  storageClass,
  templateSize: '5Gi',
  capacity: '5Gi',
});

beforeAll(async () => {
  const admin = connectByFile(adminKubeconfig, 'default');
  for (const [name, allowVolumeExpansion] of [
    ['growing', true],
    ['rigid', false],
  ] as const)
    await request(admin, 'POST', '/apis/storage.k8s.io/v1/storageclasses', {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name },
      provisioner: 'example.com/none',
      allowVolumeExpansion,
    });
});

/** A namespace with the bound claims of so many members, as a provisioner leaves them. */
async function withClaims(storageClass: string, members: number): Promise<Delegate> {
  const delegate = await newNamespace();
  for (let member = 0; member < members; member++) {
    const name = claimName(member);
    const { metadata, spec } = claimTemplate(planeId, volume('5Gi', storageClass));
    await delegate.cluster.create({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { ...metadata, name },
      spec: { ...spec, volumeName: `volume-${delegate.name}-${member}` },
    } as KubeObject);
    const at = `/api/v1/namespaces/${delegate.name}/persistentvolumeclaims/${name}`;
    const claim = (await request(delegate.admin, 'GET', at)) as KubeObject;
    const status = { phase: 'Bound', capacity: { storage: '5Gi' } };
    await request(delegate.admin, 'PUT', `${at}/status`, { ...claim, status });
  }
  // Of a StorageClass the API server knows a moment after it was made.
  if (storageClass === 'growing') await until(() => mayGrow(delegate));
  return delegate;
}

/** What the API server says of a larger first claim at this moment. */
const mayGrow = ({ cluster }: Delegate) =>
  cluster.merge({ apiVersion: 'v1', kind: 'PersistentVolumeClaim' }, claimName(0), larger, { dryRun: true }).then(
    () => true,
    (error: unknown) => {
      if (error instanceof ApiError) return false;
      throw error;
    },
  );
const larger = { spec: { resources: { requests: { storage: '20Gi' } } } };

const grow = async ({ cluster }: Delegate, storage: Volume, members: number) =>
  growClaims(cluster, await Existing.read(cluster), { planeId }, storage, members);

const sizes = async ({ cluster }: Delegate) =>
  (await Existing.read(cluster))
    .ofKind<PersistentVolumeClaim>('PersistentVolumeClaim')
    .map(({ spec }) => spec.resources.requests.storage);

test('P6: claims grow where the class allows it, and the claims of members to come are made at the new size', async () => {
  const delegate = await withClaims('growing', 2);
  expect(await grow(delegate, volume('20Gi', 'growing'), 3)).toEqual(['data-etcd-0', 'data-etcd-1']);
  expect(await sizes(delegate)).toEqual(['20Gi', '20Gi', '20Gi']);
  expect(await grow(delegate, volume('20Gi', 'growing'), 3)).toEqual([]);
});

test('P6: a class that does not allow it is told in the words of the API server, and no claim is changed', async () => {
  const delegate = await withClaims('rigid', 2);
  await expect(grow(delegate, volume('20Gi', 'rigid'), 2)).rejects.toEqual(
    refused('storage-size', '20Gi', 'allowVolumeExpansion'),
  );
  expect(await sizes(delegate)).toEqual(['5Gi', '5Gi']);
});

test.each<[string, object]>([
  ['LimitRange', { spec: { limits: [{ type: 'PersistentVolumeClaim', max: { storage: '10Gi' } }] } }],
  ['ResourceQuota', { spec: { hard: { 'requests.storage': '12Gi' } } }],
])('P1, P6: a %s that does not let all of them grow leaves all as they are', async (kind, object) => {
  const delegate = await withClaims('growing', 2);
  const plural = kind === 'LimitRange' ? 'limitranges' : 'resourcequotas';
  const at = `/api/v1/namespaces/${delegate.name}/${plural}`;
  await request(delegate.admin, 'POST', at, { apiVersion: 'v1', kind, metadata: { name: 'small' }, ...object });
  if (kind === 'ResourceQuota') {
    const quota = (await request(delegate.admin, 'GET', `${at}/small`)) as KubeObject;
    const status = { hard: { 'requests.storage': '12Gi' }, used: { 'requests.storage': '10Gi' } };
    await request(delegate.admin, 'PUT', `${at}/small/status`, { ...quota, status });
  }
  // Neither counts at once: until then the claims would grow.
  await until(async () => !(await mayGrow(delegate)));
  await expect(grow(delegate, volume('20Gi', 'growing'), 2)).rejects.toEqual(refused('storage-size', '20Gi'));
  expect(await sizes(delegate)).toEqual(['5Gi', '5Gi']);
});
