import { afterAll, beforeAll, expect, test } from 'vitest';
import { refused } from '../refused.ts';
import { changedNothing, eventually, Namespace, type Outcome, sandboxCommand, succeeded } from './world.ts';

// A plane with a volume of its own, from deploy to destroy. The tests of this file follow each other.

const host = 'durable.e2e.test';
let home: Namespace;
let first: Outcome;

beforeAll(async () => {
  home = await Namespace.open('durable');
  succeeded(await sandboxCommand(['host', host], home));
  first = await home.k8sk8s('deploy', '-h', host);
});

afterAll(async () => {
  await home.k8sk8s('destroy', '--yes');
});

const claims = async () =>
  succeeded(await home.infra('get', 'pvc', '-o', 'jsonpath={.items[*].metadata.name}')).stdout.trim();

test('auto takes a volume of the default StorageClass, and says so', async () => {
  succeeded(first);
  expect(first.stderr).toContain('etcd keeps its data on a volume of 5Gi of StorageClass local-path');
  expect(first.stderr).not.toContain('ephemeral');
  expect(await claims()).toBe('data-etcd-0');
  expect(succeeded(await home.k8sk8s('status')).stdout).toMatch(/Storage: +a volume of 5Gi of StorageClass local-path/);
});

test('all pods gone at once, the plane is back without a command and nothing is lost', async () => {
  await home.ask('create', 'configmap', 'kept');
  succeeded(
    await home.infra('delete', 'pods', '-l', 'app.kubernetes.io/part-of=k8sk8s', '--grace-period=0', '--force'),
  );
  await eventually(120, async () => expect((await home.k8sk8s('status')).code).toBe(0));
  expect(await home.ask('get', 'configmap', 'kept', '-o', 'name')).toBe('configmap/kept');
  changedNothing(await home.k8sk8s('deploy'));
});

test('another storage is refused with the way to it, and one option of etcd is not', async () => {
  const answer = await home.k8sk8s('deploy', '--etcd-storage', 'ephemeral');
  expect(answer.code).toBe(2);
  expect(answer).toEqual(refused('storage-change'));
  succeeded(await home.k8sk8s('deploy', '--etcd-arg', 'snapshot-count=5000'));
  expect(await home.ask('get', 'configmap', 'kept', '-o', 'name')).toBe('configmap/kept');
});

test('destroy takes the claim away too', async () => {
  const gone = succeeded(await home.k8sk8s('destroy', '--yes'));
  expect(gone.stderr).toContain('persistentvolumeclaim "data-etcd-0" deleted');
  expect(gone.stderr).toContain('0 left');
  expect(await claims()).toBe('');
});
