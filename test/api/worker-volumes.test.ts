import { beforeAll, expect, test } from 'vitest';
import { parseSpec } from '../../src/config/parse.ts';
import { planInfra } from '../../src/drift/infra-plan.ts';
import { diffPlane } from '../../src/drift/plane-diff.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject, StatefulSet } from '../../src/kube/objects.ts';
import { applyAll, Existing, nothingApplied } from '../../src/live/apply.ts';
import type { PlaneRecord } from '../../src/plane/record.ts';
import { renderPlane } from '../../src/plane/render.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { newNamespace } from './world.ts';

// Nothing of a StatefulSet's volumes can change, as a real API server has it: what a dry run says of worker pods with other ones.

const planeId = 'plane-0123456789';
const specOf = (more: object) =>
  parseSpec(
    { host: 'k.example.com', etcdStorage: 'ephemeral', workerPods: 2, workerImage: 'worker:1', ...more },
    'in the test',
  );
const recordOf = (spec: PlaneRecord['spec']): PlaneRecord => ({
  planeId,
  toolVersion: '0.0.0',
  spec,
  issuers: [],
  phase: 'available',
});

/** A plane with two worker pods, which nothing runs. */
async function planeWith(more: object): Promise<InfraCluster> {
  const { cluster } = await newNamespace();
  const spec = specOf(more);
  const record = recordOf(spec);
  const { addresses, bundle } = await planInfra(cluster, record, spec);
  const plane = renderPlane({ record, spec, addresses, storage: { kind: 'ephemeral' }, bundle });
  await applyAll(cluster, planeId, plane.all(), await Existing.read(cluster), nothingApplied(), quietReporter);
  const { template } = (plane.beside['worker-pod'].find(({ kind }) => kind === 'StatefulSet') as StatefulSet).spec;
  for (const name of ['worker-pod-0', 'worker-pod-1'])
    await cluster.create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...template.metadata, name },
      spec: { containers: [{ name: 'worker', image: 'worker:1' }] },
    } as KubeObject);
  return cluster;
}

let cluster: InfraCluster;
beforeAll(async () => {
  cluster = await planeWith({ workerStorage: '4Gi', workerStorageClass: 'fast' });
});

const planned = async (more: object, on = cluster) => {
  const spec = specOf(more);
  const { applied, workers, objects } = await planInfra(on, recordOf(spec), spec);
  const claims = (
    objects.find(({ kind, metadata }) => kind === 'StatefulSet' && metadata.name === 'worker-pod') as
      | StatefulSet
      | undefined
  )?.spec.volumeClaimTemplates;
  return { workers, changed: applied.changed.filter((name) => name.includes('worker-pod')), claims };
};

const both = ['worker-pod-0', 'worker-pod-1'];

test('the plane as it is has no workers to replace', async () => {
  const { workers, changed } = await planned({ workerStorage: '4Gi', workerStorageClass: 'fast' });
  expect(workers).toEqual({ replaced: [], ended: [], otherVolumes: false });
  expect(changed).toEqual([]);
});

test.each([
  { workerStorage: '8Gi', workerStorageClass: 'fast' },
  { workerStorage: '4Gi', workerStorageClass: 'slow' },
  { workerStorage: '4Gi' },
  {},
] as { workerStorage?: string }[])('with %j each worker is made anew with another volume', async (more) => {
  const { workers, changed, claims } = await planned(more);
  expect(workers).toEqual({ replaced: both, ended: [], otherVolumes: true });
  expect(changed).toHaveLength(1);
  expect(claims?.[0]?.spec.resources.requests.storage).toBe(more.workerStorage);
});

test('a size in other words is the same size, and no volume is replaced for it', async () => {
  const { workers } = await planned({ workerStorage: '4096Mi', workerStorageClass: 'fast' });
  expect(workers.otherVolumes).toBe(false);
});

test('workers without volumes get some', async () => {
  const { workers } = await planned({ workerStorage: '4Gi' }, await planeWith({}));
  expect(workers).toEqual({ replaced: both, ended: [], otherVolumes: true });
});

test('another image replaces them one after the other, and fewer or none are told by their names', async () => {
  const volumes = { workerStorage: '4Gi', workerStorageClass: 'fast' };
  expect((await planned({ ...volumes, workerImage: 'worker:2' })).workers).toMatchObject({ replaced: both });
  expect((await planned({ ...volumes, workerPods: 1 })).workers).toMatchObject({ replaced: [], ended: both.slice(1) });
  expect((await planned({ ...volumes, workerPods: 0 })).workers).toMatchObject({ replaced: [], ended: both });
});

test('diff names the volumes as what differs', async () => {
  const { differences } = await diffPlane(cluster, specOf({ workerStorage: '8Gi', workerStorageClass: 'fast' }));
  const own = differences.find(({ kind, name }) => kind === 'StatefulSet' && name === 'worker-pod');
  expect(own?.fields.map(({ path }) => path)).toContain('spec.volumeClaimTemplates');
});
