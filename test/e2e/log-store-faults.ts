import { expect } from 'vitest';
import { processInPod } from '../kill-in-pod.ts';
import type { LogWorld } from './log-world.ts';
import { SmallVolume } from './small-volume.ts';
import { succeeded } from './world.ts';

// What becomes of lines while the store is away; tests of log-view.test.ts.

export async function storeThatIsKilled(logs: LogWorld): Promise<void> {
  const before = await logs.restarts();
  const slowest: number[] = [];
  for (let n = 0; n < 3; n++) {
    slowest.push(await logs.make(`kept-${n}`, 10));
    succeeded(
      await logs.home.infra('delete', 'pod', await logs.storePod(), '--grace-period=0', '--force', '--wait=false'),
    );
  }
  console.log(`30 requests by kubectl, the slowest in ${Math.max(...slowest)} ms`);
  await logs.eachOnce('kept', 30);
  expect(await logs.restarts()).toEqual(before);
}

export async function storeThatStandsStill(logs: LogWorld): Promise<void> {
  await logs.finding();
  const before = await logs.restarts();
  const [store] = await logs.home.podsOf('log-store');
  const pid = processInPod(store!.metadata.uid, /victoria-logs/)!;
  process.kill(pid, 'SIGSTOP');
  try {
    console.log(`20 requests by kubectl, the slowest in ${await logs.make('slow', 20)} ms`);
    await logs.finding('log-store-not-ready');
    expect(succeeded(await logs.home.k8sk8s('logs', '--audit', '--since', '5m')).stdout).toContain('"slow-19"');
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await logs.eachOnce('slow', 20);
  await logs.finding();
  expect(await logs.restarts()).toEqual(before);
}

export async function volumeFullOrReadOnly(logs: LogWorld): Promise<void> {
  const before = await logs.restarts();
  await logs.storeOff();
  const volume = await SmallVolume.ofClaim(logs.home, 'log-store', 64);
  try {
    await logs.scaleStore(1);
    await logs.finding();
    await logs.found('who deleted default/gone');
    // With less than 10 MB the store takes no more, and still answers.
    await volume.fill(5_000_000);
    console.log(`full: 20 requests by kubectl, the slowest in ${await logs.make('full', 20)} ms`);
    await logs.finding('log-store-full');
    expect(await logs.ask('who deleted default/gone')).toHaveLength(1);
    expect(succeeded(await logs.home.k8sk8s('logs', '--audit', '--since', '5m')).stdout).toContain('"full-19"');
    expect(succeeded(await logs.home.k8sk8s('logs', 'kube-scheduler', '--tail', '5')).stdout).not.toBe('');
    // Started where nothing at all can be written.
    await logs.storeOff();
    await volume.fill(0);
    await logs.scaleStore(1);
    await logs.make('fuller', 5);
    await logs.finding('log-store-full');
    await logs.storeOff();
    await volume.free();
    await volume.allow('ro');
    await logs.scaleStore(1);
    console.log(`read-only: 20 requests by kubectl, the slowest in ${await logs.make('fixed', 20)} ms`);
    await logs.finding('log-store-not-ready');
    await logs.storeOff();
    await volume.allow('rw');
    await logs.scaleStore(1);
    for (const [name, count] of [
      ['full', 20],
      ['fuller', 5],
      ['fixed', 20],
    ] as const)
      await logs.eachOnce(name, count);
    await logs.finding();
  } finally {
    await logs.storeOff();
    await volume.takeBack();
    await logs.scaleStore(1);
  }
  await logs.eachOnce('fixed', 20);
  expect(await logs.restarts()).toEqual(before);
}

export async function linesThatAreLost(logs: LogWorld): Promise<void> {
  await logs.storeOff();
  succeeded(await logs.home.infra('delete', 'pod', '-l', 'app.kubernetes.io/name=kube-scheduler', '--wait=true'));
  await logs.scaleStore(1);
  const lines = await logs.found('what is missing');
  expect(lines.map(({ _msg }) => _msg).join()).toContain('kube-scheduler');
  expect((await logs.statusNow()).logs?.report?.losses).toBeGreaterThan(0);
  await logs.finding();
}
