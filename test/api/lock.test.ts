import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test, vi } from 'vitest';
import { processPlace } from '../../src/commands/options/this-process.ts';
import { ConnectionError } from '../../src/kube/errors.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { Lease } from '../../src/kube/objects.ts';
import { acquireLock } from '../../src/live/lock.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { newNamespace } from './world.ts';

// The Lease that keeps two runs on one plane apart, against a real API server.

const unhurried = new AbortController().signal;
const kind = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
const read = (cluster: InfraCluster) => cluster.get<Lease>(kind, 'k8sk8s');

async function heldBy(
  cluster: InfraCluster,
  process: string | undefined,
  secondsAgo: number,
  leaseDurationSeconds = 15,
): Promise<Lease> {
  return cluster.create<Lease>({
    ...kind,
    metadata: {
      name: 'k8sk8s',
      labels: { 'app.kubernetes.io/part-of': 'k8sk8s', 'app.kubernetes.io/managed-by': 'k8sk8s' },
      annotations: process === undefined ? {} : { 'k8sk8s.io/holder-process': process },
    },
    spec: { holderIdentity: 'deploy by somebody', leaseDurationSeconds, renewTime: time(secondsAgo) },
  });
}

const time = (secondsAgo: number) => new Date(Date.now() - secondsAgo * 1000).toISOString().replace('Z', '000Z');

async function endedProcess(): Promise<string> {
  const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)'], { stdio: 'ignore' });
  await once(child, 'spawn');
  const place = processPlace(child.pid)!;
  child.kill('SIGKILL');
  await once(child, 'exit');
  return place;
}

test('a holder that has ended on this machine is taken over at once, and one that runs is not', async () => {
  const { cluster } = await newNamespace();
  // Whoever waited for this one to run out would wait for longer than the test may take.
  await heldBy(cluster, await endedProcess(), 1, 3600);
  const lock = await acquireLock(cluster, 'deploy', quietReporter, unhurried);
  await expect(acquireLock(cluster, 'destroy', quietReporter, unhurried)).rejects.toMatchObject({
    anchor: 'plane-busy',
  });
  expect((await read(cluster))!.spec.holderIdentity).toContain('deploy by');
  await lock.release();
  const next = await acquireLock(cluster, 'destroy', quietReporter, unhurried);
  await next.release();
  expect(await read(cluster)).toBeUndefined();
});

test('a holder on another machine is waited for, and taken over when it stays silent', async () => {
  const { cluster } = await newNamespace();
  await heldBy(cluster, `elsewhere-${processPlace()}`, 13);
  const looks = vi.spyOn(cluster, 'get');
  const lock = await acquireLock(cluster, 'deploy', quietReporter, unhurried);
  expect(looks.mock.calls.length, 'it looked again before it took it').toBeGreaterThan(1);
  looks.mockRestore();
  await lock.release();
});

test.each([
  ['ahead of', -120],
  ['behind', 120],
])('a holder that renews is left alone, though its clock is two minutes %s ours', async (_, secondsAgo) => {
  const { cluster } = await newNamespace();
  const lease = await heldBy(cluster, undefined, secondsAgo);
  const renewing = setTimeout(async () => {
    const now = (await read(cluster))!;
    await cluster.replace({ ...now, spec: { ...now.spec, renewTime: time(secondsAgo - 2) } });
  }, 1500);
  await expect(acquireLock(cluster, 'destroy', quietReporter, unhurried)).rejects.toMatchObject({
    anchor: 'plane-busy',
    why: expect.stringContaining(lease.spec.holderIdentity!),
  });
  clearTimeout(renewing);
});

test('a lease that was made although the answer was lost is our own', async () => {
  const { cluster } = await newNamespace();
  const create = cluster.create.bind(cluster);
  cluster.create = async (object, options) => {
    await create(object, options);
    throw new ConnectionError(cluster.server, 'ECONNRESET', 'socket hang up');
  };
  const lock = await acquireLock(cluster, 'deploy', quietReporter, unhurried);
  expect((await read(cluster))!.spec.holderIdentity).toContain('deploy by');
  await lock.release();
});
