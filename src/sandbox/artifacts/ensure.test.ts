import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { notingReporter } from '../../ui/noting.fixture.ts';
import { minimumGo, versions } from '../versions.ts';
import { binaryPath } from './cache.ts';
import { binarySets, ensureBinaries, ensureImages } from './ensure.ts';
import { aptLine, missingPackages } from './packages.ts';

let root: string;
const said: string[] = [];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'k8sk8s-ensure-'));
  said.length = 0;
});
afterEach(() => rm(root, { recursive: true, force: true }));

const reporter = notingReporter(said);

/** A program that stands in for go: answers its version, and "builds" by writing to what -o names. */
async function fakeGo(options: { version?: string; fails?: boolean } = {}): Promise<string> {
  const path = join(root, 'fake-go.cjs');
  await writeFile(
    path,
    `#!${process.execPath}
const { appendFileSync, writeFileSync } = require('node:fs');
const args = process.argv.slice(2);
if (args[0] === 'env') { console.log('go${options.version ?? minimumGo}'); process.exit(0); }
appendFileSync(${JSON.stringify(join(root, 'calls'))}, [process.env.CGO_ENABLED, process.env.GOTOOLCHAIN, ...args].join(' ') + '\\n');
if (${options.fails === true} && args[0] === 'build') { console.error('internal/abi\\n# sandbox.test/pause\\n./main.go:3:1: syntax error'); process.exit(1); }
if (args[0] === 'build') setTimeout(() => writeFileSync(args[args.indexOf('-o') + 1], 'program'), 100);
`,
  );
  await chmod(path, 0o755);
  return path;
}

test('what is there is found, without a word and without a program', async () => {
  for (const name of ['etcd', 'etcdctl'] as const) {
    const path = binaryPath(root, 'etcd', versions.etcd, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, 'program');
  }
  const goProgram = await fakeGo();
  const paths = await ensureBinaries(['etcd', 'etcdctl'], { root, goProgram }, reporter);
  await expect(stat(join(root, 'calls'))).rejects.toMatchObject({ code: 'ENOENT' });
  expect(paths.etcdctl).toBe(
    join(root, 'bin/etcd', versions.etcd, process.arch === 'x64' ? 'amd64' : 'arm64', 'etcdctl'),
  );
  expect(said).toEqual([]);
});

test('a missing program is built once, though two ask for it, after saying how long it takes', async () => {
  const options = { root, mode: 'build', goProgram: await fakeGo() } as const;
  const [first, second] = await Promise.all([
    ensureBinaries(['pause'], options, reporter),
    ensureBinaries(['pause'], options, reporter),
  ]);
  expect(first).toEqual(second);
  expect((await stat(first.pause)).isFile()).toBe(true);
  expect(said[0]).toMatch(/^building pause with go .*usually/);
  const builds = (await readFile(join(root, 'calls'), 'utf8')).trim().split('\n');
  expect(builds).toHaveLength(1);
  expect(builds[0]).toMatch(/^0 local build .*-mod=mod .*-trimpath -ldflags -s -w -o /);
  expect(said.filter((text) => text.startsWith('done')).sort()).toEqual([
    `done pause ${versions.pause} built`,
    `done pause ${versions.pause}, made by another process`,
  ]);
});

test('a failed build shows what the compiler said, and leaves nothing that looks built', async () => {
  const options = { root, mode: 'build', goProgram: await fakeGo({ fails: true }) } as const;
  await expect(ensureBinaries(['pause'], options, reporter)).rejects.toMatchObject({
    anchor: 'build-failed',
    why: expect.stringMatching(/^# sandbox.test\/pause\n.*syntax error$/),
  });
  await expect(stat(binaryPath(root, 'pause', versions.pause, 'pause'))).rejects.toThrow();
  expect(said.at(-1)).toMatch(/^FAILED pause/);
});

test('a go that is too old is refused before anything is built', async () => {
  const options = { root, mode: 'build', goProgram: await fakeGo({ version: '1.19.8' }) } as const;
  await expect(ensureBinaries(['pause'], options, reporter)).rejects.toMatchObject({
    anchor: 'go-too-old',
    kind: 'refused',
  });
});

test('an image is made again when its program has changed, and only then', async () => {
  const options = { root, mode: 'build', goProgram: await fakeGo() } as const;
  const [first] = await ensureImages(['pause'], options, reporter);
  expect(first).toContain(join(root, 'images/pause', versions.pause));
  said.length = 0;
  expect(await ensureImages(['pause'], options, reporter)).toEqual([first]);
  expect(said).toEqual([]);
  await writeFile(binaryPath(root, 'pause', versions.pause, 'pause'), 'another program');
  const [second] = await ensureImages(['pause'], options, reporter);
  expect(second).not.toBe(first);
  expect((await stat(second!)).isFile()).toBe(true);
});

test('the core set has all that a sandbox starts, and not what few want', () => {
  expect(binarySets.core).toEqual(expect.arrayContaining(['etcd', 'kubelet', 'kubectl', 'traefik', 'pause']));
  for (const name of ['metrics-server', 'e2e.test', 'agnhost', 'kubemark']) expect(binarySets.core).not.toContain(name);
});

test('a package is missing when neither its program nor a substitute is there', async () => {
  const packages = [
    { name: 'coreutils', proof: 'ls' },
    { name: 'unheard-of', proof: 'no-such-program' },
    { name: 'unheard-of-files', proof: '/no/such/file' },
  ];
  expect(await missingPackages(packages)).toEqual(['unheard-of', 'unheard-of-files']);
  expect(aptLine(['a', 'b'])).toBe('apt-get update && apt-get install -y --no-install-recommends a b');
});
