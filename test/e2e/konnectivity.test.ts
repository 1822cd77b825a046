import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { otherImages } from '../../src/config/versions.ts';
import { ensureImages } from '../../src/sandbox/artifacts/ensure.ts';
import { ensureImported } from '../../src/sandbox/containerd.ts';
import { loadState, machineFolder } from '../../src/sandbox/state.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { runsAllOf } from '../test-all.ts';
import { Tenant } from './tenant.ts';
import { eventually, Namespace, sandboxCommand, succeeded } from './world.ts';

// A plane whose API server reaches workers by konnectivity's tunnels, with the gate beside it for what is named by URL. Its images are built
// once, in two minutes, so it runs with `npm run test:all`, or alone by K8SK8S_TEST=konnectivity. The tests follow each other.

const host = 'konnectivity.e2e.test';
const runs = runsAllOf('e2e/konnectivity');

describe.runIf(runs)('--egress konnectivity', () => {
  let home: Namespace;
  let tenant: Tenant;

  beforeAll(async () => {
    const state = loadState(inject('sandbox'))!;
    const archives = await ensureImages('konnectivity', {}, terminalReporter());
    for (const machine of state.machines) await ensureImported(machine, machineFolder(state, machine), archives);
    home = await Namespace.open('konnectivity');
    succeeded(await sandboxCommand(['host', host], home));
    succeeded(await home.k8sk8s('deploy', '-h', host, '--egress', 'konnectivity'));
    tenant = new Tenant(home);
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
  });

  afterAll(async () => {
    tenant?.close();
    await sandboxCommand(['join', '--leave', '-n', home.name], home);
    await home.k8sk8s('destroy', '--yes');
  });

  test('an agent on the worker has a tunnel, and status says so', async () => {
    await eventually(120, async () => {
      const ready = await home.ask(
        '-n',
        'kube-system',
        'get',
        'daemonset',
        'konnectivity-agent',
        '-o',
        'jsonpath={.status.numberReady}',
      );
      expect(ready).toBe('1');
    });
    // The agent runs before the network of pods does, which makes the worker Ready.
    await eventually(60, async () =>
      expect(succeeded(await home.k8sk8s('status')).stdout).toMatch(/^Egress: +.*konnectivity/m),
    );
    expect((await home.k8sk8s('diff')).code).toBe(0);
  });

  test('logs, exec and a pod by proxy go through it', async () => {
    const program = "require('http').createServer((q,r)=>r.end('from a pod')).listen(8080);console.log('up')";
    await home.ask('create', 'deployment', 'web', `--image=${otherImages.node}`, '--', 'node', '-e', program);
    await home.rolledOut('web', 120);
    await eventually(30, async () => expect(await home.ask('logs', 'deploy/web')).toBe('up'));
    expect(await home.ask('exec', 'deploy/web', '--', 'echo', 'reached')).toBe('reached');
    const pod = await home.ask('get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[0].metadata.name}');
    await eventually(30, async () =>
      expect(await home.ask('get', '--raw', `/api/v1/namespaces/default/pods/${pod}:8080/proxy/`)).toBe('from a pod'),
    );
  });

  test('T4: what is named by URL goes through the gate all the same', async () => {
    const etcd = succeeded(await home.infra('get', 'service', 'etcd0', '-o', 'jsonpath={.spec.clusterIP}')).stdout;
    for (const url of [`https://${etcd}:2379/`, 'https://127.0.0.1:8134/', 'https://169.254.169.254/'])
      expect((await tenant.webhook({ url })).body, url).toContain('refused by the gate of this control plane');
  });

  test('to --egress kubelet and back', async () => {
    for (const [egress, word] of [
      ['kubelet', 'the API server reaches'],
      ['konnectivity', 'konnectivity'],
    ] as const) {
      succeeded(await home.k8sk8s('deploy', '--egress', egress));
      await eventually(60, async () => {
        expect(await home.ask('exec', 'deploy/web', '--', 'echo', egress)).toBe(egress);
        expect((await home.k8sk8s('status')).stdout).toMatch(new RegExp(`^Egress: +.*${word}`, 'm'));
      });
      expect((await home.k8sk8s('diff')).code).toBe(0);
    }
  });
});
