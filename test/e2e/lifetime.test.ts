import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KubeObject } from '../../src/kube/objects.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { eventually, Namespace, sandboxCommand, succeeded } from './world.ts';

// A plane with a volume whose end is set, put off, taken off, and comes. The tests of this file follow each other; putting off
// and taking off take a minute and a half, and run with `npm run test:all`.

const testOfAll = test.runIf(runsAllOf('e2e/lifetime'));

let home: Namespace;
const host = 'lifetime.e2e.test';
const kinds =
  'ingresses,poddisruptionbudgets,networkpolicies,deployments,statefulsets,pvc,services,secrets,configmaps,leases';

beforeAll(async () => {
  home = await Namespace.open('lifetime');
  succeeded(await sandboxCommand(['host', host], home));
});

afterAll(async () => {
  await home.k8sk8s('destroy', '--yes');
});

async function objects(more = ''): Promise<KubeObject[]> {
  const ours = ['-l', 'app.kubernetes.io/part-of=k8sk8s', '-o', 'json'];
  const { stdout } = succeeded(await home.infra('get', kinds + more, ...ours));
  return (JSON.parse(stdout) as { items: KubeObject[] }).items;
}

const isOwned = ({ metadata }: KubeObject) => metadata.ownerReferences?.some(({ name }) => name === 'k8sk8s-lifetime');
const nameOf = ({ kind, metadata }: KubeObject) => `${kind}/${metadata.name}`;

async function endsIn(): Promise<number> {
  const { stdout } = succeeded(await home.k8sk8s('status', '--output', 'json'));
  const { lifetime } = JSON.parse(stdout) as { lifetime?: { endsAt: string; counted: boolean } };
  expect(lifetime?.counted).toBe(true);
  return (Date.parse(lifetime!.endsAt) - Date.now()) / 1000;
}

test('a plane that is to end belongs to its Job with every object, and status and list say when', async () => {
  const storage = ['--etcd-storage', '1Gi'];
  expect(succeeded(await home.k8sk8s('deploy', '-h', host, ...storage, '--ttl', '20m')).stderr).toContain(
    'The plane ends at',
  );
  const all = await objects();
  expect(all.map(nameOf)).toEqual(expect.arrayContaining(['PersistentVolumeClaim/data-etcd-0', 'Lease/k8sk8s']));
  expect(all.filter((object) => !isOwned(object)).map(nameOf)).toEqual([]);
  expect(await endsIn()).toBeLessThanOrEqual(20 * 60);
  await home.ask('create', 'configmap', 'kept', '--from-literal=a=b');
  expect(succeeded(await home.k8sk8s('list')).stdout).toMatch(/lifetime\.e2e\.test +\S+ +healthy +in \d+m/);
});

testOfAll(
  'the end is put off by another deploy, which changes no pod, and is kept by those that do not speak of it',
  async () => {
    succeeded(await home.k8sk8s('deploy', '--ttl', '1h'));
    expect(await endsIn()).toBeGreaterThan(2400);
    succeeded(await home.k8sk8s('deploy', '--resources', 'limits'));
    expect(succeeded(await home.k8sk8s('diff')).code).toBe(0);
    succeeded(await home.k8sk8s('sleep'));
    succeeded(await home.k8sk8s('wake'));
    expect(await endsIn()).toBeGreaterThan(2400);
    expect((await objects()).filter((object) => !isOwned(object)).map(nameOf)).toEqual([]);
  },
);

testOfAll('taken off, the plane outlives its end with the same data', async () => {
  succeeded(await home.k8sk8s('deploy', '--ttl', '60s'));
  const end = Date.now() + 61_000;
  succeeded(await home.k8sk8s('deploy', '--ttl', 'none'));
  expect((await objects(',pods')).filter(isOwned).map(nameOf)).toEqual([]);
  expect(succeeded(await home.infra('get', 'jobs', '-o', 'name')).stdout).toBe('');
  await sleep(Math.max(0, end - Date.now()));
  expect(await home.ask('get', 'configmap', 'kept', '-o', 'jsonpath={.data.a}')).toBe('b');
  expect(JSON.parse(succeeded(await home.k8sk8s('status', '--output', 'json')).stdout)).not.toHaveProperty('lifetime');
});

test('when the end comes nothing is left in the namespace, and the files outside stay', async () => {
  const began = await objects();
  expect(began.length).toBeGreaterThan(15);
  // On a busy box the end comes before this deploy is done, which is told then.
  const { stderr } = await home.k8sk8s('deploy', '--ttl', '5s');
  await eventually(120, async () => expect((await objects(',jobs,pods')).map(nameOf), stderr).toEqual([]));
  expect(await home.k8sk8s('status')).toEqual(refused('no-plane'));
  expect(existsSync(path.join(home.cwd, 'tls/kubeconfig'))).toBe(true);
});
