import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { otherImages } from '../../src/config/versions.ts';
import type { ExposedStatus } from '../../src/operations/keys/rotate-all.ts';
import { issueLeaf } from '../../src/pki/issue.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { visitWorker } from './worker-visit.ts';
import { changedNothing, eventually, Namespace, run, sandboxCommand, succeeded } from './world.ts';

// Somebody has read all Secrets of a plane that has a worker: what they hold opens nothing afterwards, and the worker, visited
// as the command says, goes on. The tests follow each other. It takes some twenty rollouts, so it is part of
// `npm run test:all`.

const host = 'rotate-exposed.e2e.test';
let home: Namespace;

async function secretFiles(name: string): Promise<Record<string, string>> {
  const { stdout } = succeeded(await home.infra('get', 'secret', name, '-o', 'json'));
  const data = Object.entries<string>(JSON.parse(stdout).data ?? {});
  return Object.fromEntries(data.map(([file, text]) => [file, Buffer.from(text, 'base64').toString()]));
}

const secrets = ['k8sk8s-ca', 'kube-apiserver', 'kube-apiserver-egress', 'kube-controller-manager', 'kube-scheduler'];

/** Every private key and every encryption key of the namespace. */
async function keys(): Promise<string[]> {
  const files = await Promise.all([...secrets, 'etcd', 'admin-kubeconfig'].map(secretFiles));
  return files.flatMap((each) => [
    ...Object.entries(each).flatMap(([file, text]) => (file.endsWith('.key') ? [text] : [])),
    ...(each['encryption.yaml']?.match(/secret: (.*)/g) ?? []),
  ]);
}

/** HTTP status of a request for the hosted Secrets. */
async function ask(...credential: string[]): Promise<string> {
  const { stdout } = await run(
    'curl',
    [
      ...['-s', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '10', '--cacert', 'tls/ca.pem'],
      ...[...credential, `https://${host}/api/v1/namespaces/kube-system/secrets`],
    ],
    { cwd: home.cwd },
  );
  return stdout;
}

const bearer = (token: string) => ['-H', `Authorization: Bearer ${token}`];
const thief = ['--cert', 'thief.crt', '--key', 'thief.key'];

const status = async (): Promise<Record<string, string>> => {
  const { stdout } = succeeded(await home.k8sk8s('certs', 'rotate-exposed', '--status', '--output', 'json'));
  return Object.fromEntries((JSON.parse(stdout) as ExposedStatus).parts.map(({ name, state }) => [name, state]));
};

describe.runIf(runsAllOf('e2e/rotate-exposed'))('all keys of a plane', { timeout: 900_000 }, () => {
  beforeAll(async () => {
    home = await Namespace.open('rotate-exposed');
    succeeded(await sandboxCommand(['host', host], home));
    succeeded(await home.k8sk8s('deploy', '-h', host));
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
    await home.apply(pods);
    for (const name of ['reader', 'steady']) await home.rolledOut(name, 180);
    for (const name of ['kubelet-serving-approver', 'kube-dns']) await home.rolledOut(name, 180, 'kube-system');
  });

  afterAll(async () => {
    await sandboxCommand(['join', '--leave', '-n', home.name], home);
    await home.k8sk8s('destroy', '--yes');
  });

  let before: string[];
  let token: string;
  let bootstrap: string;

  /** The worker and what goes through its kubelet, in both directions. */
  const workerServes = () =>
    eventually(120, async () => {
      expect(await home.ask('get', 'nodes')).toMatch(/^worker-\d +Ready /m);
      expect(await home.ask('exec', 'deploy/steady', '--', 'echo', 'reached')).toBe('reached');
      expect(await home.ask('logs', 'deploy/steady')).toBe('begun');
    });

  test('the first run replaces what only components know', async () => {
    await home.ask('create', 'secret', 'generic', 'kept', '--from-literal=word=before');
    await home.ask('create', 'clusterrolebinding', 'reader', '--clusterrole=admin', '--serviceaccount=default:default');
    // The account of a new namespace comes a moment after it.
    token = await eventually(60, () => home.ask('create', 'token', 'default'));
    bootstrap = /token: (.*)/.exec(readFileSync(path.join(home.cwd, 'tls/kubeconfig-kubelets'), 'utf8'))![1]!;
    before = await keys();
    const { 'ca.crt': certificate = '', 'ca.key': key = '' } = await secretFiles('k8sk8s-ca');
    const made = await issueLeaf(
      { certificate, key },
      { commonName: 'thief', organizations: ['system:masters'], usages: ['clientAuth'] },
    );
    writeFileSync(path.join(home.cwd, 'thief.crt'), made.certificate);
    writeFileSync(path.join(home.cwd, 'thief.key'), made.key);
    copyFileSync(path.join(home.cwd, 'tls/kubeconfig'), path.join(home.cwd, 'old.kubeconfig'));
    expect(await ask(...thief)).toBe('200');
    expect(await ask(...bearer(token))).toBe('200');

    const first = succeeded(await home.k8sk8s('certs', 'rotate-exposed'));
    expect(first.stdout).toMatch(/^etcd-ca +is refused$/m);
    expect(first.stdout).toMatch(/^ca +is accepted still$/m);
    expect(first.stderr).toContain('upload ca.pem and kubeconfig-kubelets from tls/');
    expect((await home.k8sk8s('status')).stdout).toContain('run k8sk8s certs rotate-exposed');
    await workerServes();
  });

  test('who was not told yet is named, and told goes on', async () => {
    const answer = await home.k8sk8s('certs', 'rotate-exposed');
    expect(answer.code).toBe(1);
    expect(answer).toEqual(refused('clients-untold', /worker worker-\d/, 'pod default/reader-'));
    expect(answer.stderr).not.toContain('pod default/steady-');
    await visitWorker(home);
    await home.ask('rollout', 'restart', 'deployment/reader');
    await home.rolledOut('reader', 120);
    await eventually(180, async () => {
      const asked = await home.k8sk8s('certs', 'rotate-exposed');
      expect(asked).toEqual(refused('not-confirmed', 'kubelet-serving-ca', '--yes'));
    });
    await workerServes();
  });

  test('the second one the rest, also when it was killed in between', async () => {
    const dropped = eventually(120, async () =>
      expect(await secretFiles('k8sk8s-ca')).not.toHaveProperty('ca-previous.crt'),
    );
    await home.killed(dropped, 'certs', 'rotate-exposed', '--yes');
    succeeded(await home.infra('delete', 'lease', 'k8sk8s', '--ignore-not-found'));
    expect(await status()).toMatchObject({ ca: 'between', 'service-account-key': 'between' });
    const second = succeeded(await home.k8sk8s('certs', 'rotate-exposed', '--yes'));
    expect(second.stdout).toContain('copies of etcd and backups from before');
    expect(await status()).toEqual({});
    expect(second.stderr).toContain('upload ca.pem and kubeconfig-kubelets from tls/');
    await workerServes();
  });

  test('and nothing of it opens anything, while the cluster holds what it held', async () => {
    const after = await keys();
    expect(before.length).toBeGreaterThan(15);
    expect(before.filter((each) => after.includes(each))).toEqual([]);
    expect([await ask(...thief), await ask(...bearer(token)), await ask(...bearer(bootstrap))]).toEqual([
      '401',
      '401',
      '401',
    ]);
    expect((await home.hosted(['--kubeconfig=old.kubeconfig', 'get', 'nodes'])).code).not.toBe(0);
    const fresh = /token: (.*)/.exec(readFileSync(path.join(home.cwd, 'tls/kubeconfig-kubelets'), 'utf8'))![1]!;
    expect(await ask(...bearer(fresh))).toBe('403');
    expect(await home.ask('get', 'secret', 'kept', '-o', 'jsonpath={.data.word}')).toBe('YmVmb3Jl');
    changedNothing(await home.k8sk8s('deploy'));
  });

  test('another visit, and the worker believes the old ones no more; its pods have run all along', async () => {
    await visitWorker(home);
    await workerServes();
    const restarts = 'jsonpath={.items[*].status.containerStatuses[*].restartCount}';
    expect(await home.ask('get', 'pods', '-o', restarts)).toBe('0 0');
    await home.ask('scale', 'deployment', 'reader', '--replicas=2');
    await home.rolledOut('reader', 120);
    changedNothing(await home.k8sk8s('deploy'));
  });
});

/** One that reads the cluster's CA, as most do, and one that does not. */
const pods = ['reader', 'steady']
  .map((name) =>
    JSON.stringify({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name },
      spec: {
        selector: { matchLabels: { app: name } },
        template: {
          metadata: { labels: { app: name } },
          spec: {
            automountServiceAccountToken: name === 'reader',
            containers: [{ name, image: otherImages.node, command: ['sh', '-c', 'echo begun; sleep 100000'] }],
          },
        },
      },
    }),
  )
  .join('\n---\n');
