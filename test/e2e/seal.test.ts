import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { certificatesIn, inspect, matches } from '../../src/pki/inspect.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { changedNothing, eventually, Namespace, sandboxCommand, succeeded, written } from './world.ts';

// The key of a plane's CA is kept sealed: who reads all Secrets does not have it. The tests follow each other.

const host = 'sealed.e2e.test';
const all = runsAllOf('e2e/seal');
const sealFile = ['--seal-file', 'passphrase'];
let home: Namespace;

beforeAll(async () => {
  home = await Namespace.open('sealed');
  succeeded(await sandboxCommand(['host', host], home));
  writeFileSync(path.join(home.cwd, 'passphrase'), 'a drawer full of spoons\n', { mode: 0o600 });
  writeFileSync(path.join(home.cwd, 'other'), 'a drawer full of forks\n', { mode: 0o600 });
});

afterAll(async () => {
  if (all) await sandboxCommand(['join', '--leave', '-n', home.name], home);
  await home.k8sk8s('destroy', '--yes');
});

/** All that somebody who reads the namespace's Secrets has, file by file. */
async function secretFiles(): Promise<Record<string, string>> {
  const { stdout } = succeeded(await home.infra('get', 'secrets', '-o', 'json'));
  const items = JSON.parse(stdout).items as { metadata: { name: string }; data?: Record<string, string> }[];
  return Object.fromEntries(
    items.flatMap(({ metadata, data = {} }) =>
      Object.entries(data).map(([file, text]) => [`${metadata.name}/${file}`, Buffer.from(text, 'base64').toString()]),
    ),
  );
}

/** Private keys that belong to the CA's certificate. */
function keysOfCa(files: Record<string, string>): string[] {
  const keys = Object.values(files).flatMap((text) => text.match(pem) ?? []);
  expect(keys.length).toBeGreaterThan(10);
  return keys.filter((key) => matches(files['k8sk8s-ca/ca.crt']!, key));
}

const pem = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+-----END [A-Z ]*PRIVATE KEY-----/g;

describe('a sealed plane', { timeout: 600_000 }, () => {
  test('is not begun without what seals it', async () => {
    const answer = await home.k8sk8s('deploy', '-h', host, '--seal', 'passphrase-file');
    expect(answer.code).toBe(2);
    expect(answer).toEqual(refused('seal-file', '--seal-file'));
    const other = await home.k8sk8s('deploy', '-h', host, '--seal', 'key-file', ...sealFile);
    expect(other).toEqual(refused('seal-file', '--seal-file'));
  });

  test('no Secret holds the key of its CA', async () => {
    succeeded(await home.k8sk8s('deploy', '-h', host, '--seal', 'passphrase-file', ...sealFile));
    const files = await secretFiles();
    expect(keysOfCa(files)).toEqual([]);
    expect(files['k8sk8s-ca/ca-sealed.age']).toMatch(/^-----BEGIN AGE ENCRYPTED FILE-----/);
    expect(certificatesIn(files['kube-apiserver/ca.crt']!)).toHaveLength(2);
    expect(certificatesIn(files['kube-controller-manager/ca.crt']!)).toHaveLength(1);
  });

  test('what changes nothing asks for no key', async () => {
    const before = await written(home);
    changedNothing(await home.k8sk8s('deploy'));
    succeeded(await home.k8sk8s('diff'));
    succeeded(await home.k8sk8s('token', 'create'));
    expect((await home.k8sk8s('status')).stdout).toContain('healthy');
    const answer = await home.k8sk8s('certs', 'renew', '--name', 'scheduler');
    expect(answer).toEqual(refused('seal-file', '--seal-file'));
    expect(answer.code).toBe(2);
    const wrong = await home.k8sk8s('certs', 'renew', '--name', 'scheduler', '--seal-file', 'other');
    expect(wrong).toEqual(refused('seal-file', '--seal-file'));
    expect(await written(home)).toEqual(before);
  });

  test('users are let in by what signs in its place, and a change of names by its key', async () => {
    const user = succeeded(
      await home.k8sk8s('user', 'create', 'ann', '--cluster-role', 'view', '--file', 'ann.kubeconfig'),
    );
    expect(user.stderr).toContain('has the ClusterRole view');
    // RBAC counts a moment after it was written.
    await eventually(20, async () =>
      succeeded(await home.hosted(['--kubeconfig=ann.kubeconfig', 'get', 'pods', '-A'])),
    );
    const answer = await home.k8sk8s('deploy', '--san', 'more.example.com');
    expect(answer).toEqual(refused('seal-file', '--seal-file'));
    expect(answer.code).toBe(2);
    succeeded(await home.k8sk8s('deploy', '--san', 'more.example.com', ...sealFile));
    succeeded(await home.hosted(['--kubeconfig=ann.kubeconfig', 'get', 'pods', '-A']));
    const { stdout } = succeeded(await home.k8sk8s('certs', 'status'));
    expect(stdout).toMatch(/^ca-signer +(89|90) /m);
  });

  test("without its administrator's binding it says what is the matter, and its key puts that back", async () => {
    await home.ask('delete', 'clusterrolebinding', 'k8sk8s:cluster-admins');
    const answer = await home.k8sk8s('user', 'list');
    expect(answer).toEqual(refused('hosted-refused', '--seal-file', '403'));
    expect(answer.stderr).not.toContain('infra');
    succeeded(await home.k8sk8s('deploy', ...sealFile));
    succeeded(await home.k8sk8s('user', 'list'));
  });

  test.runIf(all)('a worker joins, and logs and exec reach it', async () => {
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
    await eventually(180, async () => expect(await home.ask('get', 'nodes')).toMatch(/^worker-\d +Ready /m));
    await home.rolledOut('kubelet-serving-approver', 180, 'kube-system');
    await eventually(180, () => home.ask('logs', '-n', 'kube-system', 'daemonset/kube-proxy', '--tail=1'));
    await home.ask('exec', '-n', 'kube-system', 'daemonset/kube-proxy', '--', 'kube-proxy', '--version');
  });

  test('unsealed again, it has its key, and everybody goes on', async () => {
    succeeded(await home.k8sk8s('deploy', '--seal', 'none', ...sealFile));
    const files = await secretFiles();
    expect(inspect(files['k8sk8s-ca/ca.crt']!).isAuthority).toBe(true);
    expect(matches(files['k8sk8s-ca/ca.crt']!, files['k8sk8s-ca/ca.key']!)).toBe(true);
    expect(Object.keys(files).filter((file) => /sealed|ca-signer/.test(file))).toEqual([]);
    succeeded(await home.hosted(['--kubeconfig=ann.kubeconfig', 'get', 'pods', '-A']));
    if (all) {
      await eventually(180, () => home.ask('logs', '-n', 'kube-system', 'daemonset/kube-proxy', '--tail=1'));
      expect(await home.ask('get', 'nodes')).toMatch(/^worker-\d +Ready /m);
    }
    changedNothing(await home.k8sk8s('deploy'));
  });

  test.runIf(all)('sealed again, it gets another CA, whose key no Secret holds either', async () => {
    succeeded(await sandboxCommand(['join', '--leave', '-n', home.name], home));
    succeeded(await home.k8sk8s('deploy', '--seal', 'passphrase-file', ...sealFile));
    const answer = await home.k8sk8s('certs', 'rotate-ca', '--authority', 'ca');
    expect(answer).toEqual(refused('seal-file', '--seal-file'));
    expect(answer.code).toBe(2);
    succeeded(await home.k8sk8s('certs', 'rotate-ca', '--authority', 'ca', ...sealFile));
    succeeded(await home.hosted(['--kubeconfig=ann.kubeconfig', 'get', 'pods', '-A']));
    changedNothing(await home.k8sk8s('deploy'));
    succeeded(await home.k8sk8s('certs', 'rotate-ca', '--yes', ...sealFile));
    const files = await secretFiles();
    expect(inspect(files['k8sk8s-ca/ca.crt']!).commonName).toBe('kubernetes-ca sealed 2');
    expect(keysOfCa(files)).toEqual([]);
    expect((await home.hosted(['--kubeconfig=ann.kubeconfig', 'get', 'pods', '-A'])).code).not.toBe(0);
    succeeded(await home.k8sk8s('user', 'create', 'ann', '--cluster-role', 'view', '--file', 'new.kubeconfig'));
    succeeded(await home.hosted(['--kubeconfig=new.kubeconfig', 'get', 'pods', '-A']));
    changedNothing(await home.k8sk8s('deploy'));
  });

  test.runIf(all)('its backup has the key as sealed as it was, and is restored with what opens it', async () => {
    succeeded(await home.k8sk8s('backup', 'create', 'sealed.backup', '--plaintext'));
    succeeded(await home.k8sk8s('destroy', '--yes'));
    const answer = await home.k8sk8s('restore', 'sealed.backup');
    expect(answer).toEqual(refused('seal-file', '--seal-file'));
    expect(answer.code).toBe(2);
    succeeded(await home.k8sk8s('restore', 'sealed.backup', '--old-plane-is-down', ...sealFile));
    expect(keysOfCa(await secretFiles())).toEqual([]);
    succeeded(await home.hosted(['--kubeconfig=new.kubeconfig', 'get', 'pods', '-A']));
  });
});
