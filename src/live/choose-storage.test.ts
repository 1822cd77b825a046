import { expect, test } from 'vitest';
import { refused } from '../../test/refused.ts';
import { UserError } from '../base/errors.ts';
import { parseSpec } from '../config/parse.ts';
import type { ClusterSpecInput } from '../config/schema.ts';
import { ApiError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { KubeObject } from '../kube/objects.ts';
import { labelsOf } from '../plane/names.ts';
import type { PlaneRecord } from '../plane/record.ts';
import { claimTemplate, databaseQuota, type Volume } from '../plane/storage.ts';
import type { Existing } from './apply.ts';
import { chooseStorage } from './choose-storage.ts';

const planeId = 'plane-1';
const labels = labelsOf(planeId, 'etcd', '1');

/** An infra cluster whose default StorageClass is `given`, or that refuses claims. */
function infra(given: string | undefined | Error, limitRanges: object[] = []): InfraCluster {
  const create = async (claim: { spec: object }) => {
    if (given instanceof Error) throw given;
    return { ...claim, spec: { storageClassName: given, ...claim.spec } };
  };
  const list = async ({ kind }: { kind: string }) => ({
    items: kind === 'LimitRange' ? limitRanges.map((spec) => ({ spec })) : [],
  });
  return { namespace: 'team', create, list } as unknown as InfraCluster;
}

function present(...objects: KubeObject[]): Existing {
  return { ofKind: (kind: string) => objects.filter((object) => object.kind === kind) } as unknown as Existing;
}

const claimSpec = (storage: string, storageClassName = 'fast') => ({
  accessModes: ['ReadWriteOnce'],
  resources: { requests: { storage } },
  storageClassName,
});
const statefulSet = (...volumeClaimTemplates: object[]): KubeObject =>
  ({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'etcd', labels },
    spec: { volumeClaimTemplates },
  }) as KubeObject;
const claim = (spec: object): KubeObject =>
  ({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'data-etcd-0', labels }, spec }) as KubeObject;

const record = (phase: PlaneRecord['phase']): PlaneRecord => ({
  planeId,
  toolVersion: '0',
  spec: { host: 'k.example.com' },
  issuers: [],
  phase,
});

const choose = (
  input: Partial<ClusterSpecInput>,
  cluster: InfraCluster,
  existing = present(),
  phase: PlaneRecord['phase'] | undefined = 'available',
) => chooseStorage(cluster, parseSpec({ host: 'k.example.com', ...input }, 'test'), existing, phase && record(phase));

test('auto takes a volume of the default class, by its name, and does without where there is none', async () => {
  expect((await choose({}, infra('local'))).storage).toEqual({ kind: 'volume', size: '5Gi', storageClass: 'local' });
  const none = await choose({}, infra(undefined));
  expect(none.storage).toEqual({ kind: 'ephemeral' });
  expect(none.why).toContain('no default StorageClass');
});

test('P1: a volume that is refused never makes a plane ephemeral: the size that fits is named', async () => {
  const refusal = new ApiError({ status: 403, reason: 'Forbidden', message: 'maximum storage usage is 2Gi' });
  const limits = { limits: [{ type: 'PersistentVolumeClaim', max: { storage: '2Gi' } }] };
  await expect(choose({}, infra(refusal, [limits]))).rejects.toEqual(
    refused('storage-size', 'maximum storage usage is 2Gi', '--etcd-storage 2Gi'),
  );
  const named = choose({ etcdStorageClass: 'fast' }, infra(refusal, [limits]));
  await expect(named).rejects.toMatchObject({ anchor: 'storage-size' });
});

test('a size without any class is refused before anything is made', async () => {
  await expect(choose({ etcdStorage: '10Gi' }, infra(undefined))).rejects.toMatchObject({
    anchor: 'storage-class',
    kind: 'refused',
  });
});

test('what a plane has stays with auto, whatever the default class has become', async () => {
  expect((await choose({}, infra('other'), present(statefulSet()))).storage).toEqual({ kind: 'ephemeral' });
  const durable = present(statefulSet({ metadata: { name: 'data' }, spec: claimSpec('7Gi') }));
  expect((await choose({}, infra('other'), durable)).storage).toEqual({
    kind: 'volume',
    size: '7Gi',
    storageClass: 'fast',
  });
});

test('claims whose StatefulSet is gone are found again', async () => {
  expect((await choose({}, infra(undefined), present(claim(claimSpec('7Gi'))))).storage).toMatchObject({ size: '7Gi' });
});

test.each([
  ['a size for what is ephemeral', { etcdStorage: '5Gi' }, statefulSet()],
  ['a class for what is ephemeral', { etcdStorageClass: 'fast' }, statefulSet()],
  ['ephemeral for a volume', { etcdStorage: 'ephemeral' }, statefulSet({ spec: claimSpec('5Gi') })],
  ['a smaller size', { etcdStorage: '4Gi' }, statefulSet({ spec: claimSpec('5Gi') })],
  ['another class', { etcdStorageClass: 'slow' }, statefulSet({ spec: claimSpec('5Gi') })],
])('%s never begins empty on top of data that is there', async (_, input, object) => {
  const refusal = choose(input, infra('fast'), present(object));
  await expect(refusal).rejects.toThrow(UserError);
  await expect(refusal).rejects.toMatchObject({ anchor: 'storage-change', kind: 'refused' });
});

test('the same size in another spelling is no change', async () => {
  const durable = present(statefulSet({ spec: claimSpec('5Gi') }));
  expect((await choose({ etcdStorage: '5120Mi' }, infra('fast'), durable)).storage).toMatchObject({ size: '5Gi' });
});

test('P6: a larger size is taken, and the StatefulSet stays as it is', async () => {
  const durable = present(statefulSet({ spec: claimSpec('5Gi') }), claim(claimSpec('5Gi')));
  const { storage, replaces } = await choose({ etcdStorage: '20Gi' }, infra('fast'), durable);
  expect(replaces).toBe(false);
  expect(storage).toMatchObject({ size: '20Gi', templateSize: '5Gi', capacity: '5Gi' });
  expect(claimTemplate(planeId, storage as Volume).spec.resources.requests.storage).toBe('5Gi');
  // The database gets the room when the volume has it, and not when it is asked for.
  expect(databaseQuota(storage as Volume)).toBe(databaseQuota({ kind: 'volume', size: '5Gi' }));
});

test('P6: a claim that somebody enlarged is taken as it is, and the database gets what the volume got', async () => {
  const grown = { ...claim(claimSpec('20Gi')), status: { capacity: { storage: '18Gi' } } } as KubeObject;
  const durable = present(statefulSet({ spec: claimSpec('5Gi') }), grown);
  for (const etcdStorage of ['auto', '20Gi']) {
    const { storage } = await choose({ etcdStorage }, infra('fast'), durable);
    expect(storage).toMatchObject({ size: '20Gi', templateSize: '5Gi', capacity: '18Gi' });
    expect(databaseQuota(storage as Volume)).toBe(databaseQuota({ kind: 'volume', size: '18Gi' }));
  }
});

test('a plane that never answered may still be given another storage', async () => {
  const pending = present(statefulSet({ spec: claimSpec('5Gi', 'no-such-class') }));
  expect(await choose({ etcdStorageClass: 'fast' }, infra('fast'), pending, 'deploying')).toMatchObject({
    storage: { storageClass: 'fast' },
    replaces: true,
  });
});

test('one whose first deploy was interrupted after it answered is in use, Ready or not: it keeps its storage', async () => {
  const pending = present(statefulSet({ spec: claimSpec('5Gi') }), claim(claimSpec('5Gi')));
  const spec = parseSpec({ host: 'k.example.com', etcdStorageClass: 'fast2' }, 'test');
  const answered = { ...record('deploying'), hostedUid: 'uid-1' };
  await expect(chooseStorage(infra('fast'), spec, pending, answered)).rejects.toMatchObject({
    anchor: 'storage-change',
  });
});

test.each([
  ['1Gi', 288],
  ['5Gi', 2336],
  ['100Gi', 8192],
])('of a volume of %s the database may take %d MiB', (size, mebibytes) => {
  expect(databaseQuota({ kind: 'volume', size }) / 2 ** 20).toBe(mebibytes);
});
