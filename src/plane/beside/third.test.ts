import { readFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { fixedPlane } from '../../../test/golden/plane.ts';
import { parseSpec } from '../../config/parse.ts';
import { stepsBeside, wakeBeside } from '../../hosted/beside.ts';
import { type KubeObject, nameOf, type Pod, type Workload } from '../../kube/objects.ts';
import { resourceOf } from '../../kube/resources.ts';
import { Existing, nothingApplied } from '../../live/apply.ts';
import { InfraStore } from '../../live/infra-store.fixture.ts';
import { takeInventory } from '../../live/inventory.ts';
import { putPlane } from '../../live/plane.fixture.ts';
import { readRecord } from '../../live/record.ts';
import type { HeldPlane } from '../../live/with-plane.ts';
import { destroy } from '../../operations/destroy.ts';
import { sleepPlane } from '../../operations/sleep.ts';
import { problemsOf } from '../../operations/status/problems.ts';
import { planeStatus } from '../../operations/status/status.ts';
import { objectDemand } from '../../preflight/quota.ts';
import { requiredRights } from '../../preflight/rights.ts';
import { ensureBeside } from '../../rollout/beside.ts';
import { quietReporter } from '../../ui/quiet.ts';
import { allImages } from '../all-images.ts';
import { unknownComponents } from '../component-problems.ts';
import { planeKindOf } from '../kinds.ts';
import { renderPlane } from '../render.ts';
import { type Beside, besideNames, besideOf, isBeside, wantedBeside } from './lookup.ts';

/*
 * What stands beside a plane is a folder and a line in the table: this test adds both, and looks for the third thing wherever what is
 * beside a plane is to be found. Whoever names one of them elsewhere for what the table says is found out here.
 */

vi.mock('./table.ts', async (original) => {
  const { allBeside } = await original<typeof import('./table.ts')>();
  const { clusterAutoscaler } = await import('./third.fixture/cluster-autoscaler.fixture.ts');
  return { allBeside: [...allBeside, clusterAutoscaler] };
});

const name = 'cluster-autoscaler' as Beside;
const spec = parseSpec({ host: 'k.example.com', replicas: 2, resources: [`${name}=cpu=7m`] }, 'test');
const without = parseSpec({ host: 'k.example.com' }, 'test');
const third = wantedBeside(spec)[0]!;
const work = { reporter: quietReporter, timeout: 5000, signal: new AbortController().signal };
const pathOf = (object: KubeObject) => `${resourceOf(object).plural}/${object.metadata.name}`;
const isThird = ({ metadata }: Pick<KubeObject, 'metadata'>) => metadata.name === name;

async function storeWith(wanted = spec): Promise<InfraStore> {
  const store = new InfraStore();
  for (const object of renderPlane(await fixedPlane(wanted, 'available')).all()) store.put(pathOf(object), object);
  return store;
}

test('its objects are rendered where the spec wants it, and known as no part of the control plane', async () => {
  const own = renderPlane(await fixedPlane(spec)).beside[name];
  expect(own.map(nameOf)).toEqual([`deployment "${name}"`, `role "${name}"`]);
  expect(own.every(isBeside)).toBe(true);
  expect((own[0] as Workload).spec.template.spec.containers[0]).toMatchObject({
    resources: { requests: { cpu: '7m' } },
  });
  expect(renderPlane(await fixedPlane(without)).beside[name]).toEqual([]);
});

test('images, names of --resources, kinds and rights have it', async () => {
  expect(allImages(spec)).toContainEqual({ image: 'autoscaler:1', pulledBy: 'infra' });
  expect(unknownComponents(spec)).toEqual([]);
  expect(unknownComponents({ resources: ['cluster-autoscale=cpu=7m'] })).toHaveLength(1);
  const allowed = requiredRights.filter(({ verbs }) => verbs.includes('create')).map(({ resource }) => resource);
  for (const object of renderPlane(await fixedPlane(spec)).beside[name]) {
    expect(planeKindOf(object)?.names).toContain(name);
    expect(allowed).toContain(resourceOf(object).plural);
  }
});

test('the quota counts its objects and its Secret', () => {
  const none = { find: () => undefined, ofKind: () => [] };
  const demands = (of: typeof spec) => objectDemand(none, of, { kind: 'ephemeral' });
  const fewer = demands({ ...spec, replicas: 1 });
  const more = demands(spec);
  expect(more.secrets! - fewer.secrets!).toBe(1);
  expect(more['count/deployments.apps']! - fewer['count/deployments.apps']!).toBe(1);
  expect(more['count/roles.rbac.authorization.k8s.io']).toBe(1);
});

test('a stranger of its name is noticed, and destroy deletes its objects', async () => {
  const store = await storeWith();
  store.put(`secrets/${name}-tls`, { apiVersion: 'v1', kind: 'Secret', metadata: { name: `${name}-tls` } });
  const { owned, lookalikes } = await takeInventory(store.cluster);
  expect(
    owned
      .filter(isThird)
      .map(({ kind }) => kind)
      .sort(),
  ).toEqual(['Deployment', 'Role']);
  expect(lookalikes.map(({ metadata }) => metadata.name)).toEqual([`${name}-tls`]);
  await destroy(store.cluster, { ...work, agreed: await readRecord(store.cluster) });
  expect([...store.objects.keys()]).toEqual([`secrets/${name}-tls`]);
});

test('deploy has a step that makes it, and one that takes it away where the spec wants none', async () => {
  const store = await storeWith(without);
  const plane = { ...(await fixedPlane(spec, 'available')), cluster: store.cluster };
  const step = stepsBeside.find((each) => each.name === name)!;
  const applies = async (wanted: typeof spec) =>
    step.applies!({ spec: wanted, existing: await Existing.read(store.cluster) } as Parameters<
      NonNullable<typeof step.applies>
    >[0]);
  expect([await applies(without), await applies(spec)]).toEqual([false, true]);

  // No pod comes up here, which a deploy does not fail by.
  const quick = { ...work, timeout: 1 };
  expect(await ensureBeside(third, plane, nothingApplied(), quick)).toBe(false);
  const paths = [`deployments/${name}`, `roles/${name}`, `secrets/${name}`];
  expect(paths.filter((path) => store.objects.has(path))).toEqual(paths);

  expect(await applies(without)).toBe(true);
  expect(await ensureBeside(third, { ...plane, spec: without }, nothingApplied(), quick)).toBe(true);
  expect(paths.filter((path) => store.objects.has(path))).toEqual([]);
  expect(await applies(without)).toBe(false);
});

test('it ends when the plane falls asleep, and comes when it wakes', async () => {
  const store = new InfraStore();
  await putPlane(store, {}, { replicas: 2 });
  const durable = await fixedPlane({ ...spec, etcdStorage: '1Gi' }, 'available');
  for (const object of renderPlane(durable).all())
    if (object.kind === 'Deployment' || object.kind === 'StatefulSet') store.put(pathOf(object), object);
  expect(await sleepPlane(store.cluster, work)).toBe(true);
  const scaled = store.requests.filter((each) => each.startsWith('PATCH'));
  expect(scaled.indexOf(`PATCH deployments/${name}`)).toBeGreaterThan(-1);
  expect(scaled.indexOf(`PATCH deployments/${name}`)).toBeLessThan(scaled.indexOf('PATCH deployments/kube-apiserver'));
  const workload = () => store.get<Workload>(`deployments/${name}`)!;
  expect(workload().spec.replicas).toBe(0);
  await wakeBeside({ spec, held: { ...work, cluster: store.cluster } } as HeldPlane, [workload()]);
  expect(workload().spec.replicas).toBe(2);
});

test('status tells of it, and what is wrong with it', async () => {
  const store = new InfraStore();
  await putPlane(store, { asleep: { since: '2026-01-01T00:00:00Z', replicas: {} } }, { replicas: 2 });
  const status = await planeStatus(store.cluster);
  expect(status).toMatchObject({ autoscaler: { name, count: '0/2', ready: false } });
  expect(problemsOf({ ...status, asleep: undefined }).map(({ what }) => what)).toContain('0/2 autoscalers');
});

test('its pods are none of the control plane', () => {
  const labels = { 'app.kubernetes.io/name': name };
  const pod = { metadata: { name: `${name}-1`, labels } } as unknown as Pod;
  expect(besideOf(pod)?.name).toBe(name);
});

test('what follows logs leaves out what is beside the plane, and names it itself, since it is bundled without the table', () => {
  const [, list] = /const leftOut = \[(.*)\]/.exec(readFileSync('src/programs/log-follower/session.ts', 'utf8')) ?? [];
  const named = [...list!.matchAll(/'([^']+)'/g)].map(([, each]) => each!);
  expect(named.sort()).toEqual(besideNames.filter((each) => each !== name).toSorted());
});
