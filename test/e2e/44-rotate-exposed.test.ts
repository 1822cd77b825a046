import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { issueLeaf } from '../../src/pki/issue.ts';
import type { ExposedStatus } from '../../src/rotate-exposed.ts';
import { eventually, Namespace, run, sandboxCommand, succeeded } from './world.ts';

// Somebody has read all Secrets of a plane: what they hold opens nothing afterwards. The tests follow each other. It takes
// some twenty rollouts, so it is part of `npm run test:all`.

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

describe.skipIf(process.env.K8SK8S_TEST !== 'all')('all keys of a plane', { timeout: 900_000 }, () => {
  beforeAll(async () => {
    home = await Namespace.open('rotate-exposed');
    succeeded(await sandboxCommand(['host', host], home));
    succeeded(await home.k8sk8s('deploy', '-h', host));
  });

  afterAll(async () => {
    await home.k8sk8s('destroy', '--yes');
  });

  let before: string[];
  let token: string;
  let bootstrap: string;

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
    expect(succeeded(await home.k8sk8s('deploy')).stderr).toContain('Nothing to change');
  });
});
