import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { NetworkTestResult } from '../../src/operations/network-test/network-test.ts';
import { ensureImages } from '../../src/sandbox/artifacts/ensure.ts';
import { ensureImported } from '../../src/sandbox/containerd.ts';
import { loadState, machineFolder } from '../../src/sandbox/state.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { eventually, Namespace, sandboxCommand, succeeded } from './world.ts';

// Cilium on two workers: policies are enforced, and there is no kube-proxy. Its programs are built once, in 7 minutes, so it runs with
// `npm run test:all`, or alone by K8SK8S_TEST=cilium; npm run charts has to come before. The tests follow each other.

const host = 'cilium.e2e.test';
const runs = runsAllOf('e2e/network-cilium');

describe.runIf(runs)('--network cilium', () => {
  let home: Namespace;

  const join = () => sandboxCommand(['join', '-n', home.name, '--workers', '2'], home);
  const leave = () => sandboxCommand(['join', '--leave', '-n', home.name], home);
  const nodesReady = () =>
    eventually(240, async () => {
      const path = 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}';
      expect(await home.ask('get', 'nodes', '-o', path)).toBe('True True');
    });
  const imported = async () => {
    const archives = await ensureImages(['cilium', 'cilium-operator'], {}, terminalReporter());
    for (const machine of loadState(inject('sandbox'))!.machines.filter(({ role }) => role === 'worker'))
      await ensureImported(machine, machineFolder(loadState(inject('sandbox'))!, machine), archives);
  };

  beforeAll(async () => {
    home = await Namespace.open('network-cilium');
    succeeded(await sandboxCommand(['host', host], home));
    succeeded(await home.k8sk8s('deploy', '-h', host, '--etcd-storage', 'ephemeral', '--network', 'cilium'));
    await imported();
    succeeded(await join());
    await nodesReady();
  }, 1_800_000);

  afterAll(async () => {
    await leave();
    await home.k8sk8s('destroy', '--yes');
  });

  test('every row passes, policies too', async () => {
    const { stdout, stderr } = await home.k8sk8s('network', 'test', '--output', 'json');
    const { rows } = JSON.parse(stdout || `{"rows": "${stderr}"}`) as NetworkTestResult;
    console.log(rows.map(({ row, state, detail }) => `${row} ${state}: ${detail}`).join('\n'));
    expect(rows.filter(({ state }) => state !== 'passed')).toEqual([]);
  });

  test('there is no kube-proxy, and nothing differs from what was deployed', async () => {
    expect((await home.hosted(['-n', 'kube-system', 'get', 'daemonset', 'kube-proxy'])).code).toBe(1);
    expect((await home.k8sk8s('diff')).code).toBe(0);
  });

  test('another driver is refused while there are workers, and done when they are gone', async () => {
    expect(await home.k8sk8s('deploy', '--network', 'flannel')).toEqual(refused('network-switch', 'kubectl drain'));
    succeeded(await leave());
    await home.ask('delete', 'nodes', '--all');
    succeeded(await home.k8sk8s('deploy', '--network', 'flannel'));
    expect((await home.hosted(['-n', 'kube-system', 'get', 'daemonset', 'cilium'])).code).toBe(1);
    succeeded(await join());
    await nodesReady();
    const { stdout } = await home.k8sk8s('network', 'test', '--output', 'json');
    expect((JSON.parse(stdout) as NetworkTestResult).rows.filter(({ state }) => state === 'failed')).toEqual([]);
  });
});
