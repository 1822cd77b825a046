import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { NetworkTestResult } from '../../src/operations/network-test/network-test.ts';
import { policyRows } from '../../src/plane/networks/test-rows.ts';
import { inside } from '../../src/sandbox/machine.ts';
import { loadState, type MachineState } from '../../src/sandbox/state.ts';
import { runsAllOf } from '../test-all.ts';
import { eventually, Namespace, sandboxCommand, succeeded } from './world.ts';

// The network of pods on two workers, as it should be and broken on purpose: docs/networks.md. It takes minutes, so it runs with
// `npm run test:all`, or alone by K8SK8S_TEST=networks. The tests follow each other.

const host = 'networks.e2e.test';
const runs = runsAllOf('e2e/networks');

describe.runIf(runs)('the network between pods', () => {
  let home: Namespace;
  let workers: MachineState[];

  const tried = async (): Promise<NetworkTestResult> => {
    const { stdout, stderr } = await home.k8sk8s('network', 'test', '--output', 'json');
    expect(stdout, stderr).not.toBe('');
    return JSON.parse(stdout);
  };
  const first = ({ rows }: NetworkTestResult) => rows.find(({ state }) => state === 'failed');
  /** Nothing fails, and policies alone are not supported. */
  const expectFlannel = (result: NetworkTestResult) => {
    console.log(result.rows.map(({ row, state, detail }) => `${row} ${state}: ${detail}`).join('\n'));
    expect(result.rows.filter(({ state }) => state === 'failed')).toEqual([]);
    expect(result.rows.filter(({ state }) => state === 'not supported').map(({ row }) => row)).toEqual(policyRows);
    expect(result.leftOut).toEqual([]);
  };
  const flannelRolledOut = () =>
    home.ask('-n', 'kube-system', 'rollout', 'status', 'daemonset/kube-flannel-ds', '--timeout=120s');
  /** Packets from one worker to the other that are longer than a network carries are lost, and nobody tells the sender. */
  const narrow = (how: '-I' | '-D') => {
    const long = ['-s', workers[0]!.address, '-m', 'length', '--length', '1401:65535', '-j', 'DROP'];
    return inside(workers[1]!, ['iptables', how, 'INPUT', ...long]);
  };

  beforeAll(async () => {
    home = await Namespace.open('networks-e2e');
    succeeded(await sandboxCommand(['host', host], home));
    succeeded(await home.k8sk8s('deploy', '-h', host, '--etcd-storage', 'ephemeral'));
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '2'], home));
    workers = loadState(inject('sandbox'))!.machines.filter(({ claimedBy }) => claimedBy === home.name);
    await eventually(90, async () => {
      const ready = await home.ask(
        'get',
        'nodes',
        '-o',
        'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}',
      );
      expect(ready).toBe('True True');
    });
  });

  afterAll(async () => {
    await sandboxCommand(['join', '--leave', '-n', home.name], home);
    await home.k8sk8s('destroy', '--yes');
  });

  test('flannel with vxlan passes what it is to pass', async () => {
    expectFlannel(await tried());
  });

  test('a vxlan port that is closed between workers is named', async () => {
    const rule = ['INPUT', '-p', 'udp', '--dport', '8472', '-j', 'DROP'];
    await inside(workers[1]!, ['iptables', '-I', ...rule]);
    const result = await tried().finally(() => inside(workers[1]!, ['iptables', '-D', ...rule]));
    expect(first(result)).toMatchObject({
      row: 'pod-to-pod-other-worker',
      detail: expect.stringContaining('8472/udp'),
    });
    expect(result.rows.find(({ row }) => row === 'service-by-ip')).toMatchObject({
      because: 'pod-to-pod-other-worker',
    });
  });

  test('a route that is missing is named', async () => {
    const route = (await inside(workers[0]!, ['ip', 'route', 'show', 'dev', 'flannel.1'])).trim().split('\n')[0]!;
    await inside(workers[0]!, ['sh', '-c', `ip route del ${route.replace(' onlink', '')} dev flannel.1`]);
    const result = await tried();
    await inside(workers[0]!, ['sh', '-c', `ip route replace ${route} dev flannel.1`]);
    expect(first(result)).toMatchObject({
      row: 'pod-to-pod-other-worker',
      detail: expect.stringContaining('has no route to'),
    });
  });

  test('a network that carries less than the MTU is named, and --flannel-mtu is what pods get', async () => {
    await narrow('-I');
    const result = await tried().finally(() => narrow('-D'));
    expect(first(result)).toMatchObject({ row: 'large-transfers', detail: expect.stringContaining('MTU is 1450') });
    succeeded(await home.k8sk8s('deploy', '--flannel-mtu', '1400'));
    await flannelRolledOut();
    const { rows } = await tried();
    expect(rows.find(({ row }) => row === 'large-transfers')?.detail).toContain('MTU 1350 in pods');
  });

  test('killed, it leaves nothing behind', async () => {
    const names = async () => (await home.ask('get', 'namespaces', '-o', 'name')).split('\n');
    const started = eventually(90, async () => {
      const phase = await home.ask('-n', 'k8sk8s-network-test', 'get', 'pod', 'near', '-o', 'jsonpath={.status.phase}');
      expect(phase).toBe('Running');
    }).then(() => new Promise((resolve) => setTimeout(resolve, 4000)));
    await home.killed(started, 'network', 'test');
    await eventually(90, async () => expect((await names()).join()).not.toContain('network-test'));
  });

  test('flannel with host-gw passes the same, on workers that changed to it', async () => {
    succeeded(await home.k8sk8s('deploy', '--flannel-backend', 'host-gw'));
    await flannelRolledOut();
    expectFlannel(await tried());
  });

  test('another network of pods than the plane has is named', async () => {
    const broken = { 'net-conf.json': '{ "Network": "10.9.0.0/16", "Backend": { "Type": "vxlan" } }' };
    await home.ask(
      '-n',
      'kube-system',
      'patch',
      'configmap',
      'kube-flannel-cfg',
      '-p',
      JSON.stringify({ data: broken }),
    );
    await home.ask('-n', 'kube-system', 'rollout', 'restart', 'daemonset/kube-flannel-ds');
    const restarted = async () =>
      home.ask('-n', 'kube-system', 'get', 'pods', '-l', 'k8s-app=flannel', '-o', `jsonpath={.items[*]${count}}`);
    const count = '.status.containerStatuses[0].restartCount';
    await eventually(90, async () => expect(await restarted()).toMatch(/[1-9]/));
    const result = await tried();
    console.log(first(result));
    expect(first(result)).toMatchObject({ row: 'driver-pods', detail: expect.stringContaining('PodCIDR') });
  });

  test('a report for CI', async () => {
    const { stdout } = await home.k8sk8s('network', 'test', '--output', 'junit');
    expect(stdout).toMatch(/^<.xml.*\n<testsuite name="network test of networks-e2e, flannel" tests="21"/);
  });
});
