import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inside } from '../../src/sandbox/machine.ts';
import { machineFolder, requireState } from '../../src/sandbox/state.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { nameServer, resolveAsUbuntu, servingNames } from './machines.ts';
import { stopKubelet } from './worker-visit.ts';
import { eventually, Namespace, sandboxCommand, succeeded } from './world.ts';

// A machine that cannot be a worker yet, becomes one, is given another address and another HOST, and then a bad resolver. Runs with `npm run test:all`; the tests
// follow each other.

const [host, next] = ['workers.e2e.test', 'workers-moved.e2e.test'] as const;

describe.runIf(runsAllOf('e2e/workers'))('a worker', () => {
  let home: Namespace;
  const worker = () => {
    const state = requireState(home.sandbox);
    const { machines } = state;
    const machine =
      machines.find(({ claimedBy }) => claimedBy === home.name) ??
      machines.find(({ role, claimedBy }) => role === 'worker' && !claimedBy)!;
    return { state, machine };
  };

  const join = () => sandboxCommand(['join', '-n', home.name, '--workers', '1'], home);

  beforeAll(async () => {
    home = await Namespace.open('workers');
    succeeded(await sandboxCommand(['host', host], home));
    succeeded(await home.k8sk8s('deploy', '-h', host, '--etcd-storage', 'ephemeral'));
  });
  afterAll(async () => {
    await sandboxCommand(['join', '--leave', '-n', home.name], home);
    await home.k8sk8s('destroy', '--yes');
  });

  test('W2: does not join with its resolver on a loopback address, and all that is in the way is said at once', async () => {
    const { state, machine } = worker();
    nameServer(state, machine, '127.0.0.53');
    await inside(machine, ['sysctl', '-qw', 'net.ipv4.ip_forward=0']);
    expect(await join()).toEqual(refused('worker-check', 'FAIL  resolver', 'FAIL  forwarding', 'FAIL  host'));
    await inside(machine, ['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  });

  test('gets another address and another HOST by the same files, and no new token', async () => {
    const { state, machine } = worker();
    await resolveAsUbuntu(state, machine);
    succeeded(await join());
    await home.rolledOut('kube-dns', 120, 'kube-system');
    succeeded(await sandboxCommand(['host', next], home));
    succeeded(await home.k8sk8s('deploy', '-h', next, '--yes'));
    expect(await home.k8sk8s('host', 'drop', host)).toEqual(refused('host-still-dialled', machine.name));

    const second = `${state.network}.210`;
    await inside(machine, ['ip', 'address', 'replace', `${second}/24`, 'dev', 'eth0']);
    writeFileSync(path.join(machineFolder(state, machine), 'root/etc/kubernetes/worker.env'), `NODE_IP=${second}\n`);
    await stopKubelet(home);
    succeeded(await join());
    // The approver lets the kubelet have a certificate for the address once its Node has it.
    await eventually(60, async () => {
      expect(await servingNames(machine)).toContain(`IP Address:${second}`);
      expect(await home.ask('get', 'nodes', '-o', 'jsonpath={.items[0].status.addresses[0].address}')).toBe(second);
      succeeded(await home.k8sk8s('host', 'drop', host));
    });
  });

  test('W2: with such a resolver makes CoreDNS forward to itself, and status says so', async () => {
    const { machine } = worker();
    await eventually(60, async () => expect((await home.k8sk8s('status')).code).toBe(0));
    await inside(machine, ['cp', '/etc/resolv.conf', '/run/systemd/resolve/resolv.conf']);
    await home.ask('-n', 'kube-system', 'delete', 'pod', '-l', 'k8s-app=kube-dns');
    await eventually(120, async () => {
      const status = await home.k8sk8s('status');
      expect(status.code).toBe(1);
      expect(status.stdout + status.stderr).toContain('CoreDNS forwards to itself');
    });
  });
});
