import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Anchor } from '../../src/base/anchors.ts';
import { refused } from '../refused.ts';
import {
  changedNothing,
  eventually,
  Namespace,
  type Outcome,
  run,
  sandboxCommand,
  succeeded,
  written,
} from './world.ts';

// Deploys that go wrong, each for real, and what the person is told. Every namespace ends empty.

async function place(name: string): Promise<{ home: Namespace; host: string }> {
  const home = await Namespace.open(name);
  const host = `${name}.e2e.test`;
  succeeded(await sandboxCommand(['host', host], home));
  return { home, host };
}

async function leavesNothing(home: Namespace): Promise<void> {
  expect(succeeded(await home.k8sk8s('destroy', '--yes')).stderr).toMatch(/0 left|Nothing to do/);
  expect(
    (await home.infra('get', 'all,secrets,ingresses,leases', '-l', 'app.kubernetes.io/part-of=k8sk8s', '-o', 'name'))
      .stdout,
  ).toBe('');
}

/** It stopped with the cause, and says how to take back what it made. */
function stopped(outcome: Outcome, anchor: Anchor, ...names: string[]): void {
  expect(outcome).toEqual(refused(anchor, ...names, 'k8sk8s destroy'));
  expect(outcome.code).toBe(1);
}

// Each has a namespace of its own, and waits for most of its time.
describe.concurrent('a deploy that cannot succeed stops with the cause', () => {
  test('an image that cannot be pulled', async () => {
    const { home, host } = await place('image');
    stopped(
      await home.k8sk8s('deploy', '-h', host, '--etcd-image', 'registry.invalid/etcd:none'),
      'image-pull',
      'registry.invalid/etcd:none',
      'ErrImagePull',
      '--image-registry',
    );
    await leavesNothing(home);
  });

  test('an argument that the component does not know', async () => {
    const { home, host } = await place('argument');
    stopped(
      await home.k8sk8s('deploy', '-h', host, '--api-server-arg', 'no-such-flag=1'),
      'crash-loop',
      'kube-apiserver',
      'unknown flag: --no-such-flag',
      'k8sk8s logs',
    );
    // What did not work is not kept.
    succeeded(await home.k8sk8s('deploy', '-h', host));
    await leavesNothing(home);
  });

  test('no node that fits', async () => {
    const { home, host } = await place('nodes');
    stopped(
      await home.k8sk8s('deploy', '-h', host, '--node-selector', 'disk=gold'),
      'unschedulable',
      "didn't match",
      '--node-selector',
    );
    await leavesNothing(home);
  });

  test('a name that leads to something else', async () => {
    const { home, host } = await place('wrong');
    stopped(
      await home.k8sk8s('deploy', '-h', host, '--ingress-class', 'nobody'),
      'wrong-host',
      'TRAEFIK DEFAULT CERT',
      '--expose nodeport',
    );
    await leavesNothing(home);
  });
});

describe('a folder for the files that cannot be used', () => {
  const objects = (home: Namespace) =>
    home.infra('get', 'all,secrets,configmaps,ingresses', '-l', 'app.kubernetes.io/part-of=k8sk8s', '-o', 'name');

  test.each<[string, string, Anchor, string]>([
    ['that is on a file system nobody can write to', '/proc/tls', 'file-not-writable', '/proc/tls'],
    ['below a file', 'a-file/tls', 'file-not-writable', 'a-file'],
    ['on a full disk', 'full/tls', 'file-not-writable', 'full/tls'],
    ["with another cluster's kubeconfig", 'others', 'file-of-another-cluster', 'others/kubeconfig'],
  ])('one %s is noticed before anything is made', async (_, dir, anchor, name) => {
    const { home, host } = await place('files');
    writeFileSync(path.join(home.cwd, 'a-file'), '');
    mkdirSync(path.join(home.cwd, 'others'), { recursive: true });
    copyFileSync(home.env.KUBECONFIG!, path.join(home.cwd, 'others/kubeconfig'));
    const full = path.join(home.cwd, 'full');
    mkdirSync(full, { recursive: true });
    succeeded(await run('mount', ['-t', 'tmpfs', '-o', 'size=4k,nr_inodes=3', 'tmpfs', full]));
    try {
      const answer = await home.k8sk8s('deploy', '-h', host, '--dir', dir);
      expect(answer).toEqual(refused(anchor, name, '--dir'));
      expect(answer.code).toBe(2);
      expect((await objects(home)).stdout).toBe('');
    } finally {
      succeeded(await run('umount', [full]));
    }
  });
});

describe('a deploy that is interrupted', () => {
  test('killed at any moment and run again, it converges on the same authorities', async () => {
    const { home, host } = await place('killed');
    let authority: string | undefined;
    for (const after of [400, 800, 1200, 1800, 3000, 5000]) {
      await home.killed(after, 'deploy', '-h', host);
      const found = (await home.infra('get', 'secret', 'k8sk8s-ca', '-o', 'jsonpath={.data.ca\\.crt}')).stdout;
      if (authority !== undefined) expect(found).toBe(authority);
      if (found !== '') authority = found;
    }
    succeeded(await home.k8sk8s('deploy', '-h', host));
    expect(Buffer.from(authority!, 'base64').toString()).toBe(readFileSync(path.join(home.cwd, 'tls/ca.pem'), 'utf8'));
    const before = await written(home);
    changedNothing(await home.k8sk8s('deploy'));
    expect(await written(home)).toEqual(before);
    await leavesNothing(home);
  });

  test('destroy and deploy do not work at the same time', async () => {
    const { home, host } = await place('busy');
    const deploying = home.k8sk8s('deploy', '-h', host);
    await eventually(30, async () => {
      const lease = await home.infra('get', 'lease', 'k8sk8s', '-o', 'jsonpath={.spec.holderIdentity}');
      expect(lease.stdout).toContain('deploy by');
    });
    const destroying = await home.k8sk8s('destroy', '--yes');
    expect(destroying).toEqual(refused('plane-busy', 'deploy by'));
    succeeded(await deploying);
    await leavesNothing(home);
  });
});

test('where there is no plane, commands say so and leave nothing, and destroy has nothing to ask', async () => {
  const { home } = await place('nobody');
  for (const command of [
    ['sleep'],
    ['certs', 'renew'],
    ['encrypt', 'rotate'],
    ['status'],
    ['upgrade', '--to', '1.37'],
  ]) {
    expect(await home.k8sk8s(...command), command.join(' ')).toEqual(refused('no-plane', '"nobody"'));
  }
  const deploy = await home.k8sk8s('deploy');
  expect(deploy.code).toBe(2);
  expect(deploy).toEqual(refused('bad-values', '"nobody"'));
  expect(succeeded(await home.infra('get', 'leases', '-o', 'name')).stdout).toBe('');
  changedNothing(await home.k8sk8s('destroy'));
});

test("a namespace that is another's is told as such, or as not there", async () => {
  const { home } = await place('nobody');
  for (const command of [['status'], ['destroy', '--yes'], ['list']]) {
    expect(await home.local(...command, '-n', 'somebody-elses')).toEqual(refused('rights', '"somebody-elses"', '-n'));
  }
});

describe('two planes beside each other', () => {
  test("neither reaches the other's etcd or API with its own certificates", async () => {
    const [one, two] = [await place('one'), await place('two')];
    const networks = ['--service-cidr', '10.13.0.0/16', '--pod-cidr', '10.12.0.0/16'];
    const deploys = [one.home.k8sk8s('deploy', '-h', one.host), two.home.k8sk8s('deploy', '-h', two.host, ...networks)];
    for (const deployed of await Promise.all(deploys)) succeeded(deployed);
    const etcd = (await two.home.infra('get', 'service', 'etcd0', '-o', 'jsonpath={.spec.clusterIP}')).stdout;
    const ask = (member: string) =>
      one.home.infra(
        'exec',
        'etcd-0',
        '--',
        'etcdctl',
        `--endpoints=https://${member}:2379`,
        '--cacert=/etc/etcd/pki/etcd-ca.crt',
        '--cert=/etc/etcd/pki/etcd-0.crt',
        '--key=/etc/etcd/pki/etcd-0.key',
        '--insecure-skip-tls-verify',
        '--command-timeout=5s',
        'endpoint',
        'health',
      );
    expect((await ask('127.0.0.1')).code, 'its own etcd').toBe(0);
    expect((await ask(etcd)).code, "the other's etcd").not.toBe(0);
    const asOne = await two.home.hosted([
      '--kubeconfig',
      path.join(one.home.cwd, 'tls/kubeconfig'),
      '--server',
      `https://${two.host}`,
      '--insecure-skip-tls-verify',
      '--certificate-authority=',
      'get',
      'nodes',
    ]);
    expect(asOne.code).not.toBe(0);
    await Promise.all([leavesNothing(one.home), leavesNothing(two.home)]);
  });
});
