import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inside } from '../../src/sandbox/machine.ts';
import { firstInfra, machineFolder, requireState } from '../../src/sandbox/state.ts';
import { refused } from '../refused.ts';
import { eventually, Namespace, sandboxCommand, succeeded } from './world.ts';

// A machine that cannot be a worker, and one that becomes bad after it has joined. Runs with `npm run test:all`; the tests
// follow each other.

const host = 'workers.e2e.test';

describe.runIf(process.env.K8SK8S_TEST === 'all')('a worker whose resolver is on a loopback address', () => {
  let home: Namespace;
  const worker = () => {
    const state = requireState(home.sandbox);
    const { machines } = state;
    const machine =
      machines.find(({ claimedBy }) => claimedBy === home.name) ??
      machines.find(({ role, claimedBy }) => role === 'worker' && !claimedBy)!;
    return { state, machine, resolvConf: path.join(machineFolder(state, machine), 'resolv.conf') };
  };

  beforeAll(async () => {
    home = await Namespace.open('workers');
    succeeded(await sandboxCommand(['host', host], home));
    succeeded(await home.k8sk8s('deploy', '-h', host, '--etcd-storage', 'ephemeral'));
  });
  afterAll(async () => {
    await sandboxCommand(['join', '--leave', '-n', home.name], home);
    await home.k8sk8s('destroy', '--yes');
  });

  test('does not join, and all that is in the way is said at once', async () => {
    const { machine, resolvConf } = worker();
    writeFileSync(resolvConf, 'nameserver 127.0.0.53\n');
    await inside(machine, ['sysctl', '-qw', 'net.ipv4.ip_forward=0']);
    expect(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home)).toEqual(
      refused('worker-check', 'FAIL  resolver', 'FAIL  forwarding', 'FAIL  host'),
    );
    await inside(machine, ['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  });

  test('makes CoreDNS forward to itself, and status says so', async () => {
    const { state, resolvConf } = worker();
    writeFileSync(resolvConf, `nameserver ${firstInfra(state).address}\n`);
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
    await home.rolledOut('kube-dns', 120, 'kube-system');
    expect((await home.k8sk8s('status')).code).toBe(0);
    writeFileSync(resolvConf, 'nameserver 127.0.0.53\n');
    await home.ask('-n', 'kube-system', 'delete', 'pod', '-l', 'k8s-app=kube-dns');
    await eventually(120, async () => {
      const status = await home.k8sk8s('status');
      expect(status.code).toBe(1);
      expect(status.stdout + status.stderr).toContain('CoreDNS forwards to itself');
    });
  });
});
