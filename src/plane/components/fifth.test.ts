import { expect, test, vi } from 'vitest';
import { fixedPlane } from '../../../test/golden/plane.ts';
import { parseSpec } from '../../config/parse.ts';
import { type KubeObject, nameOf, type Pod, type Secret, type Workload } from '../../kube/objects.ts';
import { resourceOf } from '../../kube/resources.ts';
import { Existing, nothingApplied } from '../../live/apply.ts';
import type { Held } from '../../live/held.ts';
import { InfraStore } from '../../live/infra-store.fixture.ts';
import { takeInventory } from '../../live/inventory.ts';
import { putPlane } from '../../live/plane.fixture.ts';
import type { PodWatch } from '../../live/pod-watch.ts';
import { readRecord } from '../../live/record.ts';
import { destroy } from '../../operations/destroy.ts';
import { readLog } from '../../operations/logs.ts';
import { judgeNetwork, targetsOf } from '../../operations/network-probe.ts';
import { planeStatus } from '../../operations/status/status.ts';
import { objectDemand } from '../../preflight/quota.ts';
import { requiredRights, rightsFor, scheduleRights } from '../../preflight/rights.ts';
import { ensureControlPlane } from '../../rollout/control-plane.ts';
import { startOrder } from '../../rollout/start-order.ts';
import { quietReporter } from '../../ui/quiet.ts';
import { unknownComponents } from '../component-problems.ts';
import { planeKindOf } from '../kinds.ts';
import { renderPlane } from '../render.ts';
import { isStartFiles } from '../start-files.ts';
import { buildTrial } from '../trial-pod.ts';
import { configHashOf } from '../workloads.ts';
import type { Component } from './lookup.ts';

/*
 * A component is a folder and a line in the table: this test adds both, and looks for the component wherever a component
 * is to be found. Whoever adds a list of components elsewhere is found out here.
 */

vi.mock('./table.ts', async (original) => {
  const { components } = await original<typeof import('./table.ts')>();
  const { cloudControllerManager } = await import('./fifth.fixture/cloud-controller-manager.fixture.ts');
  return { components: [...components, cloudControllerManager] };
});

const name = 'cloud-controller-manager';
const fifth = name as Component;
const spec = parseSpec({ host: 'k.example.com', replicas: 2, resources: [`${name}=cpu=7m`] }, 'test');
const label = ({ metadata }: KubeObject) => metadata.labels?.['app.kubernetes.io/name'];

test('its objects are rendered: workload, Secret, policies, disruption budget, and those of its own kinds', async () => {
  const objects = renderPlane(await fixedPlane(spec)).all();
  const own = objects.filter(({ metadata }) => metadata.name.startsWith(name));
  expect(own.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
    `Secret ${name}`,
    `NetworkPolicy ${name}`,
    `NetworkPolicy ${name}-to-etcd`,
    `PodDisruptionBudget ${name}`,
    `Role ${name}`,
    `CronJob ${name}-report`,
    `Deployment ${name}`,
  ]);
  for (const { metadata } of own)
    expect(metadata.labels).toMatchObject({ 'app.kubernetes.io/instance': 'plane-0123456789' });
  const { replicas, template } = (own.at(-1) as Workload).spec;
  expect(replicas).toBe(2);
  expect(template.spec.containers[0]).toMatchObject({ name, resources: { requests: { cpu: '7m' } } });
});

test('what it reads at its start is in its config hash, and in no other', async () => {
  const plane = await fixedPlane(spec);
  const hashes = (addresses: typeof plane.addresses) =>
    Object.values(renderPlane({ ...plane, addresses }).workloads).map(configHashOf);
  const [before, after] = [plane.addresses, { ...plane.addresses, apiserverServiceIp: '10.96.0.99' }].map(hashes);
  // The address is in the kubeconfigs of the API server's clients.
  expect(before!.map((hash, index) => hash !== after![index])).toEqual([false, false, true, true, true]);
});

test('it is started with the clients of the API server, and tried beside the plane', async () => {
  const { workloads, secrets } = renderPlane(await fixedPlane(spec));
  expect(startOrder([workloads[fifth]], () => undefined).clients).toHaveLength(1);
  const owner = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'k8sk8s', uid: 'uid' } };
  const { secret, pod } = buildTrial({ workloads, secrets, changed: [fifth], owner });
  expect(pod.spec.containers.map((container) => container.name)).toEqual([name]);
  expect(Object.keys(secret.data ?? {})).toContain(`${name}.kubeconfig`);
});

test('preflight counts it: its objects in the quota, its kinds among the rights, its name among the components', async () => {
  const none = { find: () => undefined, ofKind: () => [] };
  expect(objectDemand(none, spec, { kind: 'ephemeral' })).toMatchObject({
    'count/deployments.apps': 4,
    'count/networkpolicies.networking.k8s.io': 6,
    'count/poddisruptionbudgets.policy': 4,
    'count/roles.rbac.authorization.k8s.io': 1,
    'count/cronjobs.batch': 1,
    secrets: 11,
  });
  expect(unknownComponents(spec)).toEqual([]);
  const allowed = requiredRights.filter(({ verbs }) => verbs.includes('create')).map(({ resource }) => resource);
  for (const object of renderPlane(await fixedPlane(spec)).all()) {
    if (!isStartFiles(object)) expect(planeKindOf(object)?.names).toContain(object.metadata.name);
    expect(allowed).toContain(resourceOf(object).plural);
  }
});

test('preflight asks for the rights on its kinds, and only for reading where the spec does not use one', () => {
  const single = parseSpec({ host: 'k.example.com' }, 'test');
  const verbsOn = (kind: string, of: typeof spec) => rightsFor(of).find(({ resource }) => resource === kind)?.verbs;
  expect(verbsOn('roles', single)).toContain('create');
  expect(verbsOn('cronjobs', spec)).toContain('create');
  expect(verbsOn('cronjobs', single)).toEqual(['get', 'list']);
  for (const kind of ['roles', 'cronjobs'])
    expect(scheduleRights.find(({ resource }) => resource === kind)?.verbs).toEqual(['get', 'list', 'patch']);
});

test('what a plane holds is known by its names, those of a fifth component among them', async () => {
  const store = new InfraStore();
  const objects = renderPlane(await fixedPlane(spec)).all();
  for (const object of objects) store.put(`${resourceOf(object).plural}/${object.metadata.name}`, object);
  const existing = await Existing.read(store.cluster);
  expect(objects.filter((object) => !existing.find(object)).map(nameOf)).toEqual([]);
});

const pod: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: `${name}-1`,
    labels: {
      'app.kubernetes.io/name': name,
      'app.kubernetes.io/instance': 'plane-0123456789',
      'app.kubernetes.io/part-of': 'k8sk8s',
      'app.kubernetes.io/managed-by': 'k8sk8s',
    },
  },
  spec: { containers: [{ name, image: `${name}:1` }] },
  status: { podIP: '10.0.0.9' },
};

test('the network probe dials it, and a plane where it was reached has no enforced policies', async () => {
  const { addresses } = await fixedPlane(spec);
  const [target] = targetsOf(pod, addresses);
  expect(target).toEqual({ component: name, host: '10.0.0.9', port: 10258, open: false });
  expect(judgeNetwork([{ ...target!, reached: true }]).reached).toEqual([name]);
});

test('status, logs and destroy see it, and a stranger of its name is noticed', async () => {
  const store = new InfraStore();
  await putPlane(store, { asleep: { since: '2026-01-01T00:00:00Z', replicas: {} } });
  const { components } = await planeStatus(store.cluster);
  expect(components.map((each) => each.name)).toContain(name);

  store.put(`pods/${pod.metadata.name}`, pod);
  const asked: string[] = [];
  store.before = ({ path }) => void asked.push(path);
  const sink = { line: () => undefined, note: () => undefined };
  const { signal } = new AbortController();
  await readLog(store.cluster, 'plane-0123456789', 'cloud-driver' as Component, {}, sink, signal).catch(() => false);
  expect(asked.some((path) => path.includes(`pods/${name}-1/log`))).toBe(true);

  const stranger = { apiVersion: 'v1', kind: 'Secret', metadata: { name: `${name}-tls` } };
  store.put(`secrets/${name}-tls`, stranger);
  const { owned, pods, lookalikes } = await takeInventory(store.cluster);
  expect((owned as Secret[]).filter((each) => label(each) === name)).toHaveLength(1);
  expect(pods.map(({ metadata }) => metadata.name)).toEqual([`${name}-1`]);
  expect(lookalikes.map(({ metadata }) => metadata.name)).toEqual([`${name}-tls`]);
});

const ownKinds = [`roles/${name}`, `cronjobs/${name}-report`];
const pathOf = (object: KubeObject) => `${resourceOf(object).plural}/${object.metadata.name}`;
const work = { reporter: quietReporter, timeout: 5000, signal: new AbortController().signal };

/** What deploy does with a plane of a spec over what the store holds; no pod comes up, and etcd counts as about to run. */
async function deployed(store: InfraStore, wanted: typeof spec): Promise<void> {
  const { record, addresses, storage, bundle } = await fixedPlane(wanted, 'available');
  const { cluster } = store;
  await ensureControlPlane({
    held: { ...work, cluster } as Held,
    cluster,
    record,
    addresses,
    storage,
    bundle,
    existing: await Existing.read(cluster),
    applied: nothingApplied(),
    spec: wanted,
    allowDataLoss: true,
    watch: { expect: () => undefined, applied: () => undefined, etcdStarts: true } as unknown as PodWatch,
  });
}

test('deploy applies the objects of its kinds before its workload', async () => {
  const store = new InfraStore();
  await deployed(store, spec);
  const applied = store.requests.filter((each) => each.startsWith('PATCH'));
  for (const path of ownKinds) {
    expect(store.objects.has(path)).toBe(true);
    expect(applied.indexOf(`PATCH ${path}`)).toBeLessThan(applied.indexOf('PATCH statefulsets/etcd'));
  }
});

test('deploy deletes what another spec wanted: an object of its kinds, and an ingress', async () => {
  const store = new InfraStore();
  for (const object of renderPlane(await fixedPlane(spec)).all())
    if (/^(Role|CronJob|Ingress)$/.test(object.kind)) store.put(pathOf(object), object);
  await deployed(store, parseSpec({ host: 'k.example.com', expose: 'nodeport' }, 'test'));
  expect(ownKinds.filter((path) => store.objects.has(path))).toEqual([ownKinds[0]]);
  expect([...store.objects.keys()].filter((path) => path.startsWith('ingresses/'))).toEqual([]);
});

test('destroy deletes its objects, those that make pods before etcd', async () => {
  const store = new InfraStore();
  for (const object of renderPlane(await fixedPlane(spec)).all()) store.put(pathOf(object), object);
  await destroy(store.cluster, { ...work, agreed: await readRecord(store.cluster) });
  expect([...store.objects.keys()]).toEqual([]);
  const deleted = store.requests.filter((each) => each.startsWith('DELETE'));
  const [role, report, etcd] = [...ownKinds, 'statefulsets/etcd'].map((path) => deleted.indexOf(`DELETE ${path}`));
  expect(role).toBeGreaterThan(-1);
  expect(report).toBeLessThan(etcd!);
});
