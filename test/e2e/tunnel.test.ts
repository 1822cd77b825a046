import { spawn } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { inside } from '../../src/sandbox/machine.ts';
import { firstInfra, loadState, type MachineState } from '../../src/sandbox/state.ts';
import { freePort } from '../free-port.ts';
import { podWithWebhook, refusal, refusedName } from '../pod-with-webhook.ts';
import { runsAllOf } from '../test-all.ts';
import { eventually, kubectl, Namespace, run, sandboxCommand, succeeded } from './world.ts';

// A worker that nobody can dial, and that reaches port 443 of HOST and a resolver and nothing else of its network: all that the API server
// opens goes through its tunnel. In `npm run test:all`, or alone by K8SK8S_TEST=tunnel. The tests follow each other.

const host = 'nat.e2e.test';
const tunnelHost = 'nat-tunnel.e2e.test';
const runs = runsAllOf('e2e/tunnel');

describe.runIf(runs)('--tunnel-host', () => {
  let home: Namespace;
  let machine: MachineState;
  const pod = ['-l', 'app=web', '-o', 'jsonpath={.items[0].metadata.name}'];

  /** As behind NAT, whose administrator lets out what is for one address alone. */
  const closed = async (how: '-I' | '-D') => {
    const { address } = firstInfra(loadState(inject('sandbox'))!);
    const network = address.replace(/\.\d+$/, '.0/24');
    for (const rule of [
      ['INPUT', '-s', network, '-m', 'conntrack', '--ctstate', 'NEW', '-j', 'DROP'],
      ['OUTPUT', '-d', network, '-m', 'conntrack', '--ctstate', 'NEW', '-j', 'DROP'],
      ['OUTPUT', '-d', address, '-p', 'tcp', '--dport', '443', '-j', 'ACCEPT'],
      ['OUTPUT', '-d', address, '-p', 'udp', '--dport', '53', '-j', 'ACCEPT'],
      // What the machine sends to itself by its own address.
      ['INPUT', '-i', 'lo', '-j', 'ACCEPT'],
      ['OUTPUT', '-o', 'lo', '-j', 'ACCEPT'],
    ])
      await inside(machine, ['iptables', how, ...rule]);
  };

  const reached = () =>
    eventually(60, async () => expect(await home.ask('exec', 'deploy/web', '--', 'echo', 'x')).toBe('x'));

  beforeAll(async () => {
    home = await Namespace.open('nat');
    for (const name of [host, tunnelHost]) succeeded(await sandboxCommand(['host', name], home));
    const options = ['--tunnel-host', tunnelHost, '--in-cluster', 'loopback', '--profile', 'lite'];
    succeeded(await home.k8sk8s('deploy', '-h', host, ...options));
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
    machine = loadState(inject('sandbox'))!.machines.find(({ claimedBy }) => claimedBy === home.name)!;
    await closed('-I');
  });

  afterAll(async () => {
    if (machine) await closed('-D').catch(console.error);
    await sandboxCommand(['join', '--leave', '-n', home.name], home);
    await home.k8sk8s('destroy', '--yes');
  });

  test('the worker is Ready with its agent, and nobody can dial it', async () => {
    await eventually(120, async () => {
      const ready = await home.ask(
        ...['-n', 'kube-system', 'get', 'daemonset', 'k8sk8s-tunnel-agent', '-o', 'jsonpath={.status.numberReady}'],
      );
      expect(ready).toBe('1');
    });
    const dialled = await run('curl', ['-sk', '--max-time', '3', `https://${machine.address}:10250/`]);
    expect(dialled.code).toBe(28);
  });

  test('logs, exec and port-forward go through its tunnel', async () => {
    await home.apply(await podWithWebhook());
    await home.rolledOut('web', 120);
    await eventually(30, async () => expect(await home.ask('logs', 'deploy/web')).toBe('up'));
    expect(await home.ask('exec', 'deploy/web', '--', 'echo', 'reached')).toBe('reached');
    expect(await home.ask('-n', 'kube-system', 'logs', 'daemonset/k8sk8s-tunnel-agent')).toContain('there is a tunnel');
    const port = await freePort();
    const child = spawn(kubectl, ['--kubeconfig=tls/kubeconfig', 'port-forward', 'deploy/web', `${port}:8080`], {
      cwd: home.cwd,
      env: { ...process.env, ...home.env },
    });
    try {
      await eventually(20, async () =>
        expect(await fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.text())).toMatch(/^web-/),
      );
    } finally {
      child.kill();
    }
  });

  test("the kubelet's metrics, pods by proxy and a webhook on a pod", async () => {
    const node = await home.ask('get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}');
    expect(await home.ask('get', '--raw', `/api/v1/nodes/${node}/proxy/metrics`)).toContain('kubelet_node_name');
    const name = await home.ask('get', 'pods', ...pod);
    expect(await home.ask('get', '--raw', `/api/v1/namespaces/default/pods/${name}:8080/proxy/`)).toBe(name);
    await eventually(30, async () => {
      const answer = await home.hosted(['create', 'configmap', refusedName, '--dry-run=server']);
      expect(answer.stderr).toContain(refusal);
    });
  });

  test('a pod reaches the API by the relay of its worker and the name of the tunnel', async () => {
    const program =
      "require('https').get({host:'kubernetes.default',path:'/livez',ca:require('fs').readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/ca.crt')},r=>r.pipe(process.stdout)).on('error',e=>console.log(e.message))";
    await eventually(60, async () =>
      expect(await home.ask('exec', 'deploy/web', '--', 'node', '-e', program)).toBe('ok'),
    );
  });

  test('a log that nobody reads stops nothing else', async () => {
    const flood = "setInterval(()=>process.stdout.write('x'.repeat(8000)+'\\n'),1)";
    await home.ask('run', 'flood', '--image=docker.io/library/node:24-slim', '--', 'node', '-e', flood);
    await home.ask('wait', '--for=condition=Ready', 'pod/flood', '--timeout=60s');
    const reader = spawn(kubectl, ['--kubeconfig=tls/kubeconfig', 'logs', '-f', 'flood'], {
      cwd: home.cwd,
      env: { ...process.env, ...home.env },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    try {
      await sleep(3000);
      for (let time = 0; time < 10; time++) expect(await home.ask('exec', 'deploy/web', '--', 'echo', 'x')).toBe('x');
    } finally {
      reader.kill('SIGKILL');
      await home.ask('delete', 'pod', 'flood', '--now');
    }
  });

  test('the tunnel is there again after another API server, and with two of them to each', async () => {
    succeeded(await home.infra('delete', 'pod', '-l', 'app.kubernetes.io/name=kube-apiserver', '--wait=true'));
    await reached();
    succeeded(await home.k8sk8s('deploy', '--replicas', '2'));
    await eventually(30, async () => {
      for (const { metadata } of await home.podsOf('kube-apiserver')) {
        const log = await home.infra('logs', metadata.name, '-c', 'kube-apiserver-tunnel');
        expect(log.stdout).toContain('there is a tunnel');
      }
    });
    for (let time = 0; time < 10; time++) expect(await home.ask('exec', 'deploy/web', '--', 'echo', 'x')).toBe('x');
    succeeded(await home.k8sk8s('deploy', '--replicas', '1'));
    await reached();
  });

  test('a worker whose network is gone: calls fail by themselves, and work again afterwards', async () => {
    const { address } = firstInfra(loadState(inject('sandbox'))!);
    const rule = ['OUTPUT', '-d', address, '-p', 'tcp', '-j', 'DROP'];
    await inside(machine, ['iptables', '-I', ...rule]);
    const { code, stderr } = await home.hosted(['exec', 'deploy/web', '--', 'echo', 'x']);
    await inside(machine, ['iptables', '-D', ...rule]);
    console.log(`exec failed: ${stderr.trim()}`);
    // It ended by itself; how soon is `deadAfter` of src/programs/tunnel/session.ts.
    expect(code).not.toBe(0);
    expect(stderr).not.toBe('');
    await reached();
  });

  test('diff finds nothing, and --reset takes all of it away again', async () => {
    expect((await home.k8sk8s('diff')).code).toBe(0);
    expect(succeeded(await home.k8sk8s('status')).stdout).toContain(tunnelHost);
    // Pods would lose their way to the API.
    expect((await home.k8sk8s('deploy', '--reset', 'tunnel-host')).stderr).toContain('relay');
    succeeded(await home.k8sk8s('deploy', '--reset', 'tunnel-host', '--yes'));
    expect((await home.k8sk8s('diff')).code).toBe(0);
    expect(await home.ask('-n', 'kube-system', 'get', 'daemonset', '-o', 'name')).not.toContain('tunnel');
    const left = await home.infra('get', 'ingress,service,deployment', '-o', 'yaml');
    expect(left.stdout).toContain('apiserver');
    expect(left.stdout).not.toContain('tunnel');
  });
});

describe.runIf(runs)('the tunnel under load', () => {
  test('every call that fails has a kill within 10 s before it', async () => {
    const load = ['--webhooks', '300', '--execs', '60', '--kills', '4'];
    const outcome = await run(process.execPath, [
      path.resolve('dist/bench.js'),
      ...['--tunnel', '--sandbox', inject('sandbox'), ...load],
    ]);
    console.log(succeeded(outcome).stdout);
  }, 900_000);
});
