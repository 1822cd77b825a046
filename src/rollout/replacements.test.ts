import { expect, test } from 'vitest';
import { fixedPlane } from '../../test/golden/plane.ts';
import { parseSpec } from '../config/parse.ts';
import type { ClusterSpecInput } from '../config/schema.ts';
import { ApiError } from '../kube/errors.ts';
import type { KubeObject, Pod, Workload } from '../kube/objects.ts';
import { resourceOf } from '../kube/resources.ts';
import { Existing } from '../live/apply.ts';
import { InfraStore } from '../live/infra-store.fixture.ts';
import { issueLeaf } from '../pki/issue.ts';
import { labelsOf } from '../plane/names.ts';
import { type PlaneSource, renderPlane } from '../plane/render.ts';
import { describeReplacement, findReplacements } from './replacements.ts';

const planeId = 'plane-0123456789';
const planeOf = (spec: Partial<ClusterSpecInput> = {}) =>
  fixedPlane(parseSpec({ host: 'k.example.com', etcdStorage: '1Gi', ...spec }, 'test'), 'available');

/** A namespace that holds the plane as it was rendered, with the pods of its workloads. */
function deployed(source: PlaneSource): InfraStore {
  const store = new InfraStore();
  const rendered = renderPlane(source);
  for (const object of rendered.all()) store.put(pathOf(object), object);
  for (const workload of Object.values(rendered.workloads))
    for (let pod = 0; pod < workload.spec.replicas!; pod++) store.put(...podOf(workload, pod));
  return store;
}

const pathOf = (object: KubeObject) => `${resourceOf(object).plural}/${object.metadata.name}`;

function podOf({ metadata, spec }: Workload, number: number): [string, KubeObject] {
  const name = `${metadata.name}-${number}`;
  const labels = labelsOf(planeId, metadata.name, '');
  const { annotations } = spec.template.metadata!;
  return [`pods/${name}`, { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels, annotations } }];
}

async function found(store: InfraStore, wanted: PlaneSource) {
  const { cluster } = store;
  // A dry run: what it answers is not kept.
  const stored = new Map(store.objects);
  const replaced = await findReplacements(cluster, planeId, renderPlane(wanted), await Existing.read(cluster));
  store.objects.clear();
  for (const [path, object] of stored) store.objects.set(path, object);
  return replaced;
}

test('a deploy that changes nothing replaces nothing, and one of a new plane neither', async () => {
  const plane = await planeOf();
  expect(await found(deployed(plane), plane)).toEqual([]);
  expect(await found(new InfraStore(), plane)).toEqual([]);
});

test('a component whose arguments change is named with them, and others stay', async () => {
  const store = deployed(await planeOf({ replicas: 2 }));
  const wanted = await planeOf({ replicas: 2, apiServerArgs: ['max-requests-inflight=200', 'profiling=true'] });
  const replaced = await found(store, wanted);
  expect(replaced).toEqual([
    {
      component: 'kube-apiserver',
      pods: ['kube-apiserver-0', 'kube-apiserver-1'],
      changed: ['arguments (profiling, max-requests-inflight)'],
      cause: 'asked',
    },
  ]);
  expect(describeReplacement(replaced[0]!)).toMatch(/^kube-apiserver: .* are .*max-requests-inflight/);
  expect(describeReplacement(replaced[0]!, true)).toContain('would be');
});

test.each([
  ['an image', { schedulerImage: 'r.example.com/sched:2' }, [['kube-scheduler', 'image (sched:2)']]],
  ['a place', { nodeSelector: { pool: 'x' } }, 'nodeSelector'],
  ['requests', { resources: ['kube-scheduler=cpu=9m'] }, [['kube-scheduler', 'resources']]],
  [
    'an audit policy',
    { audit: false },
    [['kube-apiserver', 'files (audit-policy.yaml), arguments (audit-policy-file']],
  ],
  [
    'a container beside it',
    { egress: 'konnectivity' as const },
    [['kube-apiserver', 'containers (konnectivity-server)']],
  ],
] as [string, Partial<ClusterSpecInput>, string[][] | string][])('%s', async (_, change, expected) => {
  const store = deployed(await planeOf());
  const replaced = await found(store, await planeOf(change));
  if (typeof expected === 'string') {
    expect(replaced.map(({ changed }) => changed.join())).toEqual([expected, expected, expected, expected]);
    return;
  }
  expect(replaced.map(({ component }) => component)).toEqual(expected.map(([component]) => component));
  for (const [index, [, words]] of expected.entries()) expect(replaced[index]!.changed.join(', ')).toContain(words);
});

test('a renewed certificate replaces no pod but of a program that reads it once, and one for other names replaces its own', async () => {
  const plane = await planeOf({ egress: 'konnectivity' });
  const store = deployed(plane);
  const { leaves } = plane.bundle;
  const renewed = { certificate: 'ANOTHER\n', key: 'ANOTHER\n' };
  const withLeaf = (name: string, leaf: typeof renewed) => ({
    ...plane,
    bundle: { ...plane.bundle, leaves: { ...leaves, [name]: leaf } },
  });
  expect(await found(store, withLeaf('konnectivity-server', renewed))).toMatchObject([
    { component: 'kube-apiserver', changed: ['certificates (konnectivity-server)'] },
  ]);
  const authority = { certificate: leaves.apiserver!.certificate, key: leaves.apiserver!.key };
  const other = await issueLeaf(authority, { commonName: 'another', usages: ['serverAuth'] });
  expect(await found(store, withLeaf('apiserver', other))).toMatchObject([
    { component: 'kube-apiserver', changed: ['certificates (apiserver)'] },
  ]);
});

test('a component whose pod cannot be made is one that changes all the same', async () => {
  const store = deployed(await planeOf());
  store.objects.delete('pods/kube-scheduler-0');
  const [replaced] = await found(store, await planeOf({ schedulerArgs: ['v=2'] }));
  expect(replaced).toMatchObject({ component: 'kube-scheduler', pods: [], cause: 'asked' });
});

test('what somebody changed is put back, and what an earlier run had begun is ended', async () => {
  const plane = await planeOf();
  const store = deployed(plane);
  const edited = store.get<Workload>('deployments/kube-scheduler')!;
  edited.spec.template.spec.containers[0]!.args = ['--v=9'];
  store.put('deployments/kube-scheduler', edited);
  const old = store.get<Pod>('pods/etcd-0')!;
  store.put('pods/etcd-0', { ...old, metadata: { ...old.metadata, annotations: {} } });
  const replaced = await found(store, plane);
  expect(replaced.map(({ component, cause }) => [component, cause])).toEqual([
    ['etcd', 'unfinished'],
    ['kube-scheduler', 'drift'],
  ]);
  expect(replaced[1]!.changed.join()).toContain('kubeconfig');
});

test('of a plane that sleeps none is replaced, and a dry run that is refused still tells by the hash', async () => {
  const plane = await planeOf();
  const asleep = { ...plane, record: { ...plane.record, asleep: { since: '2026-01-01T00:00:00Z', replicas: {} } } };
  const changed = await planeOf({ etcdArgs: ['snapshot-count=5000'] });
  expect(await found(deployed(asleep), changed)).toEqual([]);
  const store = deployed(plane);
  store.before = ({ method }) => {
    if (method === 'PATCH') throw new ApiError({ status: 422, reason: 'Invalid', message: 'no' });
  };
  expect(await found(store, changed)).toEqual([{ component: 'etcd', pods: ['etcd-0'], changed: [], cause: 'asked' }]);
});
