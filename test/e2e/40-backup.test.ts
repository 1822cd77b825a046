import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { binaryPath, cacheRoot } from '../../sandbox/artifacts/cache.ts';
import { versions } from '../../sandbox/versions.ts';
import { Namespace, run, sandboxCommand, succeeded } from './world.ts';

// Backups of a plane, and a plane from a backup. The tests of this file follow each other.

const host = 'backup.e2e.test';
const etcdutl = binaryPath(cacheRoot(), 'etcd', versions.etcd, 'etcdutl');
let home: Namespace;

const file = (name: string) => path.join(home.cwd, name);
const passphrase = ['--passphrase-file', 'passphrase'];
const verify = (name: string, ...keys: string[]) => home.local('backup', 'verify', name, ...keys);

beforeAll(async () => {
  home = await Namespace.open('backup');
  succeeded(await sandboxCommand(['host', host], home));
  succeeded(await home.k8sk8s('deploy', '-h', host));
  writeFileSync(file('passphrase'), 'correct horse\n');
  writeFileSync(file('other'), 'battery staple\n');
});

afterAll(async () => {
  await home.k8sk8s('destroy', '--yes');
});

test('a backup is encrypted unless it is said otherwise, and for its owner alone', async () => {
  const refused = await home.k8sk8s('backup', 'create', 'plain');
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain('--passphrase-file');
  const made = succeeded(await home.k8sk8s('backup', 'create', 'sealed', ...passphrase));
  expect(made.stderr).toMatch(/Backed up \d+\.\d MiB of etcd at revision \d+, hash verified/);
  expect(statSync(file('sealed')).mode & 0o777).toBe(0o600);
  expect(readFileSync(file('sealed')).includes(host)).toBe(false);
  const checked = succeeded(await verify('sealed', ...passphrase));
  expect(checked.stdout).toContain(`The backup is whole.\nPlane:     ${host}, Kubernetes`);
});

test('without encryption it is an ordinary tar, whose snapshot is what etcd knows', async () => {
  const made = succeeded(await home.into('plain', 'backup', 'create', '-', '--plaintext'));
  expect(made.stderr).toContain('whoever reads it owns the hosted cluster');
  succeeded(await run('tar', ['-xf', file('plain')], { cwd: home.cwd }));
  succeeded(await run('sha256sum', ['--check', 'SHA256SUMS'], { cwd: home.cwd }));
  const known = succeeded(await run(etcdutl, ['snapshot', 'status', file('snapshot.db'), '-w', 'json'])).stdout;
  const found = JSON.parse(succeeded(await verify('plain', '--output', 'json')).stdout);
  expect(found).toMatchObject({ ok: true, sealed: false, host });
  expect(found.snapshot.revision).toBe(JSON.parse(known).revision);
});

test('wrong keys, cut and damaged files are told from good ones', async () => {
  const wrong = await verify('sealed', '--passphrase-file', 'other');
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toContain('cannot be opened with what was given');
  expect((await verify('sealed')).code).toBe(2);
  const content = readFileSync(file('sealed'));
  writeFileSync(file('cut'), content);
  truncateSync(file('cut'), content.length - 20_000);
  content[content.length >> 1]! ^= 1;
  writeFileSync(file('damaged'), content);
  for (const name of ['cut', 'damaged']) {
    const found = await verify(name, ...passphrase);
    expect(found.code).toBe(1);
    expect(found.stderr).toContain('the backup is damaged');
  }
});

test('what was begun and killed leaves no file', async () => {
  for (const after of [300, 600, 900]) await home.killed(after, 'backup', 'create', 'killed', ...passphrase);
  const full = await home.k8sk8s('backup', 'create', 'nowhere/file', '--plaintext');
  expect(full.code).toBe(1);
  expect(full.stderr).toContain('there is no such file or folder');
  const names = readdirSync(home.cwd);
  // A quick box may have been done before.
  if (names.includes('killed')) succeeded(await verify('killed', ...passphrase));
  const { stdout } = succeeded(await home.local('backup', 'list', ...passphrase));
  expect(stdout).toMatch(/sealed +\d+\.\d +yes +\d{4}-\S+ +backup\.e2e\.test +1\.\d+\.\d+/);
  expect(stdout).toMatch(/plain +\d+\.\d +no/);
  expect(stdout).not.toContain('.part');
});
