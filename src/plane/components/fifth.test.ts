import { expect, test, vi } from 'vitest';
import { fixedPlane } from '../../../test/golden/plane.ts';
import { parseSpec } from '../../config/parse.ts';
import { type KubeObject, nameOf, type Pod, type Secret, type Workload } from '../../kube/objects.ts';
import { resourceOf } from '../../kube/resources.ts';
import { Existing } from '../../live/apply.ts';
import { InfraStore } from '../../live/infra-store.fixture.ts';
import { takeInventory } from '../../live/inventory.ts';
import { putPlane } from '../../live/plane.fixture.ts';
import { readLog } from '../../operations/logs.ts';
import { judgeNetwork, targetsOf } from '../../operations/network-probe.ts';
import { planeStatus } from '../../operations/status/status.ts';
import { objectDemand } from '../../preflight/quota.ts';
import { requiredRights } from '../../preflight/rights.ts';
import { startOrder } from '../../rollout/start-order.ts';
import { unknownComponents } from '../component-problems.ts';
import { planeKinds } from '../names.ts';
import { renderPlane } from '../render.ts';
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

test('its objects are rendered: workload, Secret, policies, disruption budget', async () => {
  const objects = renderPlane(await fixedPlane(spec)).all();
  const own = objects.filter(({ metadata }) => metadata.name.startsWith(name));
  expect(own.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
    `Secret ${name}`,
    `NetworkPolicy ${name}`,
    `NetworkPolicy ${name}-to-etcd`,
    `PodDisruptionBudget ${name}`,
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
    secrets: 10,
  });
  expect(unknownComponents(spec)).toEqual([]);
  const allowed = requiredRights.filter(({ verbs }) => verbs.includes('create')).map(({ resource }) => resource);
  const kinds: readonly { kind: string }[] = planeKinds;
  for (const object of renderPlane(await fixedPlane(spec)).all()) {
    expect(kinds.map(({ kind }) => kind)).toContain(object.kind);
    expect(allowed).toContain(resourceOf(object).plural);
  }
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
