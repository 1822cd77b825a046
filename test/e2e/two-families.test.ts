import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { NetworkTestResult } from '../../src/operations/network-test/network-test.ts';
import { ipv6Rows, policyRows } from '../../src/plane/networks/test-rows.ts';
import { inside } from '../../src/sandbox/machine.ts';
import { loadState, type MachineState } from '../../src/sandbox/state.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { eventually, Namespace, sandboxCommand, succeeded } from './world.ts';

// A plane whose Services and pods have addresses of both families, on two workers: docs/networks.md. It takes minutes, so it runs
// with `npm run test:all`, or alone by K8SK8S_TEST=two-families. The tests follow each other.

const host = 'two-families.e2e.test';
const networks = ['--service-cidr', '10.3.0.0/16,fd00:3::/108', '--pod-cidr', '10.2.0.0/16,fd00:2::/56'];
const runs = runsAllOf('e2e/two-families');

describe.runIf(runs)('a plane of two families', () => {
  let home: Namespace;
  let workers: MachineState[];

  beforeAll(async () => {
    home = await Namespace.open('two-families-e2e');
    succeeded(await sandboxCommand(['host', host], home));
    succeeded(await home.k8sk8s('deploy', '-h', host, '--profile', 'lite', '--etcd-storage', 'ephemeral', ...networks));
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '2'], home));
    workers = loadState(inject('sandbox'))!.machines.filter(({ claimedBy }) => claimedBy === home.name);
    await home.ask('wait', 'nodes', '--all', '--for=condition=Ready', '--timeout=120s');
    await home.ask(
      '-n',
      'kube-system',
      'wait',
      'pods',
      '-l',
      'k8s-app=kube-dns',
      '--for=condition=Ready',
      '--timeout=90s',
    );
  });

  afterAll(async () => {
    await sandboxCommand(['join', '--leave', '-n', home.name], home);
    await home.k8sk8s('destroy', '--yes');
  });

  test('Nodes and their pods have addresses of both', async () => {
    const nodes = JSON.parse(await home.ask('get', 'nodes', '-o', 'json')).items;
    for (const { spec, status } of nodes) {
      expect(spec.podCIDRs).toEqual([expect.stringMatching(/^10\.2\./), expect.stringMatching(/^fd00:2:/)]);
      const own = status.addresses.filter(({ type }: { type: string }) => type === 'InternalIP');
      expect(own.map(({ address }: { address: string }) => address)).toEqual([
        expect.stringMatching(/^10\.200\./),
        expect.stringMatching(/^fd00:10:200:/),
      ]);
    }
  });

  test('kube-dns answers at both of its addresses, and knows both of a Service', async () => {
    const program = `const { Resolver } = require('node:dns').promises;
      (async () => {
        for (const server of ['10.3.0.10', '[fd00:3::a]:53']) {
          const resolver = new Resolver();
          resolver.setServers([server]);
          const name = 'kube-dns.kube-system.svc.cluster.local';
          console.log((await resolver.resolve4(name)).join(), (await resolver.resolve6(name)).join());
        }
      })();`;
    // kube-proxy takes over the addresses of Ready pods a moment later, each family by itself.
    for (const worker of workers)
      await eventually(30, async () =>
        expect(await inside(worker, [process.execPath, '-e', program])).toBe(
          '10.3.0.10 fd00:3::a\n10.3.0.10 fd00:3::a\n',
        ),
      );
  });

  test('the API server reaches pods of a Service that has IPv6 alone', async () => {
    await home.apply(`apiVersion: v1
kind: Service
metadata: {name: dns-over-ipv6, namespace: kube-system}
spec:
  ipFamilies: [IPv6]
  selector: {k8s-app: kube-dns}
  ports: [{name: ready, port: 8181}]
`);
    await eventually(30, async () => {
      const path = '/api/v1/namespaces/kube-system/services/dns-over-ipv6:ready/proxy/ready';
      expect(await home.ask('get', '--raw', path)).toBe('OK');
    });
  });

  test.each(['vxlan', 'host-gw'])('the network of flannel with %s passes what it is to pass', async (backend) => {
    succeeded(await home.k8sk8s('deploy', '--flannel-backend', backend));
    await home.ask('-n', 'kube-system', 'rollout', 'status', 'daemonset/kube-flannel-ds', '--timeout=120s');
    const { stdout, stderr } = await home.k8sk8s('network', 'test', '--output', 'json');
    expect(stdout, stderr).not.toBe('');
    const { rows } = JSON.parse(stdout) as NetworkTestResult;
    console.log(rows.map(({ row, state, detail }) => `${row} ${state}: ${detail}`).join('\n'));
    expect(rows.filter(({ state }) => state === 'failed')).toEqual([]);
    expect(rows.filter(({ state }) => state === 'not supported').map(({ row }) => row)).toEqual(policyRows);
    expect(rows.map(({ row }) => row)).toEqual(expect.arrayContaining(ipv6Rows));
    const routes = await inside(workers[0]!, ['sh', '-c', 'ip -6 route show | grep "^fd00:2:.* via"']);
    expect(routes).toMatch(backend === 'vxlan' ? / dev flannel-v6\.1 / : / dev eth0 /);
  });

  test('the networks stay as they are, and nothing is left to change', async () => {
    const outcome = await home.k8sk8s('deploy', '--service-cidr', '10.3.0.0/16', '--pod-cidr', '10.2.0.0/16');
    expect(outcome).toEqual(refused('immutable', '10.3.0.0/16,fd00:3::/108'));
    expect((await home.k8sk8s('diff')).code).toBe(0);
    expect((await home.k8sk8s('status')).code).toBe(0);
  });
});
