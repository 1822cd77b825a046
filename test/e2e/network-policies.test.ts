import { spawn } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { otherImages } from '../../src/config/versions.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { type BoxState, boxState, difference } from './box.ts';
import { eventually, Namespace, run, sandboxCommand, succeeded } from './world.ts';

// A plane in an infra cluster whose network enforces network policies: a sandbox of its own, with Cilium. Building Cilium
// takes minutes once, so it is part of `npm run test:all`. The tests follow each other.

const cli = path.resolve('dist/cli.js');
const name = 'policies';
const host = 'policies.e2e.test';
const nodes = ['infra-1', 'infra-2'];
const sandbox = (...rest: string[]) =>
  run(process.execPath, [cli, 'sandbox', ...rest, '--name', name], { timeout: 1_500_000 });

describe.runIf(runsAllOf('e2e/network-policies'))('where network policies are enforced', () => {
  let before: BoxState;
  let home: Namespace;
  let elsewhere: Namespace;

  beforeAll(async () => {
    before = boxState();
    succeeded(await sandbox('up', '--network', 'cilium', '--infra-nodes', '2', '--workers', '1'));
    home = await Namespace.open('policies', name);
    elsewhere = await Namespace.open('elsewhere', name);
    succeeded(await sandboxCommand(['host', host], home));
  }, 1_600_000);

  afterAll(async () => {
    succeeded(await sandbox('down'));
  });

  test('P4: a plane is deployed, a worker joins and runs a pod', async () => {
    succeeded(await home.k8sk8s('deploy', '-h', host, '--etcd-storage', '1Gi'));
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
    await home.ask('create', 'deployment', 'web', `--image=${otherImages.node}`, '--', 'sleep', '3600');
    await home.rolledOut('web', 120);
    expect(await home.ask('exec', 'deploy/web', '--', 'echo', 'reached')).toBe('reached');
  });

  test('status tells that they are enforced', async () => {
    const { stdout } = succeeded(await home.k8sk8s('status', '--probe-network'));
    expect(stdout).toMatch(/^Policies: +the infra cluster's network enforces them/m);
    expect(succeeded(await home.k8sk8s('status')).stdout).toContain("the infra cluster's network enforces them");
  });

  test('a pod of the namespace, and one of another, reach the API server and nothing else of the plane', async () => {
    for (const node of nodes) {
      await stranger(home, node);
      await stranger(elsewhere, node);
    }
    // Policies of a namespace mean pods of that namespace.
    await stranger(elsewhere, 'infra-1', 'borrowed', await labelsOf('kube-apiserver'));
    const { open, closed } = await doors();
    for (const [namespace, pod] of [
      ...[home, elsewhere].flatMap((each) => nodes.map((node) => [each, node] as const)),
      [elsewhere, 'borrowed'] as const,
    ])
      expect(await reached(namespace, pod, [...open, ...closed]), `${pod} in ${namespace.name}`).toEqual(open);
  });

  test('the API server reaches etcd where clients do, and neither its peers nor the other components', async () => {
    const { open, closed, etcd } = await doors();
    const apiserver = ['deploy/kube-apiserver', '-c', 'kube-apiserver-egress'];
    expect(await reached(home, apiserver, [...open, ...closed])).toEqual([...open, ...etcd]);
  });

  test('the world reaches the API server through the ingress controller and at the node port of each node', async () => {
    expect(await home.ask('get', '--raw', '/readyz')).toBe('ok');
    const { machines } = JSON.parse(succeeded(await sandbox('status', '--output', 'json')).stdout);
    const port = await home.infra('get', 'service', 'apiserver', '-o', 'jsonpath={.spec.ports[0].nodePort}');
    for (const { address, role } of machines as { address: string; role: string }[]) {
      if (role !== 'infra') continue;
      const server = `--server=https://${address}:${succeeded(port).stdout}`;
      expect(await home.ask(server, `--tls-server-name=${host}`, 'get', '--raw', '/readyz'), address).toBe('ok');
    }
  });

  test('members reach each other, and backups are made, scheduled ones too', async () => {
    succeeded(await home.k8sk8s('deploy', '--etcd-members', '3'));
    await eventually(60, async () => {
      const { stdout } = succeeded(await home.k8sk8s('etcd', 'members'));
      expect(stdout.match(/ (leader|follower) /g)).toHaveLength(3);
    });
    succeeded(await home.k8sk8s('backup', 'create', 'plain', '--plaintext'));
    const recipient = await identityToRecipient(await generateIdentity());
    succeeded(await home.k8sk8s('backup', 'schedule', '--size', '1Gi', '--recipient', recipient));
    succeeded(await home.infra('create', 'job', 'now', '--from=cronjob/k8sk8s-backup'));
    succeeded(await home.infra('wait', '--for=condition=Complete', 'job/now', '--timeout=120s'));
    const { open, closed } = await doors();
    for (const node of nodes) expect(await reached(home, node, [...open, ...closed]), node).toEqual(open);
  });

  test('it is the policies that keep them out: without them all is reached, deploy puts them back', async () => {
    const { open, closed } = await doors();
    const all = [...open, ...closed];
    succeeded(await home.infra('delete', 'networkpolicies', '--all'));
    await eventually(30, async () => expect(await reached(elsewhere, 'infra-1', all)).toEqual(all));
    succeeded(await home.k8sk8s('deploy'));
    await eventually(30, async () => expect(await reached(elsewhere, 'infra-1', all)).toEqual(open));
  });

  test('a sandbox keeps the network that it was made with', async () => {
    const answer = await sandbox('up', '--network', 'bridge');
    expect(answer.code).toBe(2);
    expect(answer).toEqual(refused('bad-values', `"${name}"`, 'cilium', 'bridge'));
  });

  test('destroy leaves nothing', async () => {
    succeeded(await sandboxCommand(['join', '--leave', '-n', home.name], home));
    expect(succeeded(await home.k8sk8s('destroy', '--yes')).stderr).toContain('0 left');
  });

  test('down leaves nothing of it, also when up was killed while the agent compiled', async () => {
    await downLeavesNothing();
    const rest = ['sandbox', 'up', '--network', 'cilium', '--workers', '0', '--name', name];
    const up = spawn(process.execPath, [cli, ...rest], { stdio: 'ignore' });
    const ended = new Promise((resolve) => up.once('exit', resolve));
    try {
      await eventually(120, async () => {
        const { machines } = JSON.parse(succeeded(await sandbox('status', '--output', 'json')).stdout);
        expect(machines[0].daemons['cilium-agent']).toBe(true);
      });
      await sleep(3000);
    } finally {
      up.kill('SIGKILL');
      await ended;
    }
    await downLeavesNothing();
  });

  async function downLeavesNothing(): Promise<void> {
    succeeded(await sandbox('down'));
    await eventually(30, async () => expect(difference(before, boxState())).toEqual([]));
  }

  /** A pod that is none of the plane's, named after its node unless told otherwise. */
  async function stranger(namespace: Namespace, node: string, pod = node, labels = ''): Promise<void> {
    succeeded(
      await namespace.infra(
        'run',
        pod,
        `--image=${otherImages.node}`,
        `--overrides={"spec":{"nodeName":"${node}"}}`,
        `--labels=${labels}`,
        '--command',
        '--',
        'sleep',
        '3600',
      ),
    );
    succeeded(await namespace.infra('wait', '--for=condition=Ready', `pod/${pod}`, '--timeout=60s'));
  }

  async function labelsOf(component: string): Promise<string> {
    const selector = `app.kubernetes.io/name=${component}`;
    const { stdout } = succeeded(await home.infra('get', 'pods', '-l', selector, '-o', 'json'));
    const labels: Record<string, string> = JSON.parse(stdout).items[0].metadata.labels;
    return Object.entries(labels)
      .map((pair) => pair.join('='))
      .join(',');
  }

  /** ADDRESS:PORT of all that listens in the plane's pods, and etcd's Service: what everybody may reach, and what not. */
  async function doors(): Promise<{ open: string[]; closed: string[]; etcd: string[] }> {
    const { stdout } = succeeded(
      await home.infra('get', 'pods', '-l', 'app.kubernetes.io/part-of=k8sk8s', '-o', 'json'),
    );
    const pods: { metadata: { labels: Record<string, string> }; status: { podIP: string } }[] =
      JSON.parse(stdout).items;
    const at = (component: string, port: string | number) =>
      pods
        .filter(({ metadata }) => metadata.labels['app.kubernetes.io/name'] === component)
        .map(({ status }) => `${status.podIP}:${port}`);
    const service = async (field: string, of: string) =>
      succeeded(await home.infra('get', 'service', of, '-o', `jsonpath={.spec.${field}}`)).stdout;
    const etcd = [...at('etcd', 2379), `${await service('clusterIP', 'etcd0')}:2379`];
    return {
      open: at('kube-apiserver', await service('ports[0].nodePort', 'apiserver')),
      etcd,
      closed: [...etcd, ...at('etcd', 2380), ...at('kube-controller-manager', 10257), ...at('kube-scheduler', 10259)],
    };
  }

  /** Those of the targets to which a TCP connection comes about within 3 s from a pod, in their order. */
  async function reached(namespace: Namespace, pod: string | string[], targets: string[]): Promise<string[]> {
    const { stdout } = succeeded(await namespace.infra('exec', ...[pod].flat(), '--', 'node', '-e', dial, ...targets));
    return JSON.parse(stdout);
  }
});

const dial = `
const net = require('node:net');
const reached = (target) => new Promise((resolve) => {
  const [host, port] = target.split(':');
  const socket = net.connect({ host, port, timeout: 3000 });
  const end = (answer) => { socket.destroy(); resolve(answer); };
  socket.on('connect', () => end([target])).on('timeout', () => end([])).on('error', () => end([]));
});
Promise.all(process.argv.slice(1).map(reached)).then((all) => console.log(JSON.stringify(all.flat())));`;
