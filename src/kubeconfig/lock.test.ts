import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from 'esbuild';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { refused } from '../../test/refused.ts';
import { createAuthority } from '../pki/issue.ts';
import { buildKubeconfig } from './build.ts';
import { keepTokens } from './keep-tokens.ts';
import { withFileLock } from './lock.ts';
import { readKubeconfig } from './read.ts';
import { forgetInFile, mergeIntoFile } from './write.ts';

let dir: string;
let file: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'k8sk8s-lock-'));
  file = path.join(dir, 'config');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const { certificate } = await createAuthority('a plane', { keyType: 'ec' });
const kubeconfig = (name: string) =>
  buildKubeconfig({
    server: `https://${name}`,
    certificateAuthority: certificate,
    clusterName: name,
    userName: `${name}-admin`,
    client: { token: 'a-token' },
  });
const contexts = () =>
  readKubeconfig(readFileSync(file, 'utf8'), file)
    .contexts.map(({ name }) => name)
    .sort();
/** As client-go makes it: nothing is in it, and nobody may read it. */
const lockAsKubectl = (name: string) => {
  writeFileSync(`${name}.lock`, '', { flag: 'wx' });
  chmodSync(`${name}.lock`, 0);
};

test('processes that merge into one file at once, by both of its names, lose no context', async () => {
  const bundle = path.join(dir, 'write.mjs');
  await build({
    entryPoints: ['src/kubeconfig/write.ts'],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: bundle,
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  });
  const [shared, link] = [path.join(dir, 'shared'), path.join(dir, 'elsewhere', 'config')];
  mkdirSync(path.dirname(link));
  symlinkSync(path.join('..', 'shared'), link);
  file = shared;
  await mergeIntoFile(link, kubeconfig('first'));
  chmodSync(shared, 0o640);
  const names = [0, 1, 2, 3].map((process) => [0, 1, 2].map((round) => `of-${process}-${round}`));
  const ended = names.map(
    (mine, index) =>
      new Promise((resolve) => {
        const child = spawn(
          process.execPath,
          [
            '--input-type=module',
            '-e',
            `import { mergeIntoFile } from ${JSON.stringify(bundle)};
             const [file, ...texts] = process.argv.slice(1);
             for (const text of texts) await mergeIntoFile(file, text);`,
            '--',
            index % 2 === 0 ? shared : link,
            ...mine.map(kubeconfig),
          ],
          { stdio: 'inherit' },
        );
        child.once('exit', resolve);
      }),
  );
  expect(await Promise.all(ended)).toEqual([0, 0, 0, 0]);
  expect(contexts()).toEqual(['first', ...names.flat()].sort());
  expect(statSync(shared).mode & 0o777).toBe(0o640);
  expect(readdirSync(dir).sort()).toEqual(['elsewhere', 'shared', 'write.mjs']);
  expect(readdirSync(path.dirname(link))).toEqual(['config']);
});

test.each<[what: string, change: () => Promise<unknown>, now: RegExp]>([
  ['merged', () => mergeIntoFile(file, kubeconfig('second')), /https:\/\/second/],
  ['taken out', () => forgetInFile(file, 'first'), /clusters: \[\]/],
  ['a refreshed token', () => keepTokens(file, 'u', { idToken: 'id', refreshToken: 'refreshed' }), /refreshed/],
])('what is %s waits for kubectl', async (_, change, now) => {
  await mergeIntoFile(file, kubeconfig('first'));
  const user = '- name: u\n  user: {auth-provider: {name: oidc, config: {refresh-token: old}}}\n';
  writeFileSync(file, readFileSync(file, 'utf8').replace('users:\n', `users:\n${user}`));
  const before = readFileSync(file, 'utf8');
  lockAsKubectl(file);
  const changed = change();
  await sleep(100);
  expect(readFileSync(file, 'utf8')).toBe(before);
  rmSync(`${file}.lock`);
  await changed;
  expect(readFileSync(file, 'utf8')).toMatch(now);
  expect(readdirSync(dir)).toEqual(['config']);
});

test('a lock that stays is refused, with its holder, and left alone', async () => {
  const never = () => expect.fail('it ran without the lock');
  lockAsKubectl(file);
  await expect(withFileLock(file, never, 50)).rejects.toEqual(refused('file-locked', `rm ${file}.lock`, 'kubectl'));
  rmSync(`${file}.lock`);
  await withFileLock(file, async () => {
    const mine = refused('file-locked', `rm ${file}.lock`, `process ${process.pid} of k8sk8s`);
    await expect(withFileLock(file, never, 50)).rejects.toEqual(mine);
    expect(existsSync(`${file}.lock`)).toBe(true);
  });
  expect(readdirSync(dir)).toEqual([]);
});

test('kubectl finds the lock of a file by each of its names, and no lock outlives a failure', async () => {
  const link = path.join(dir, 'link');
  symlinkSync(file, link);
  const work = withFileLock(link, async () => {
    for (const name of [file, link]) expect(() => lockAsKubectl(name)).toThrow('EEXIST');
    throw new Error('no');
  });
  await expect(work).rejects.toThrow('no');
  expect(readdirSync(dir)).toEqual(['link']);
});

test('where no lock can be made, writing says why', async () => {
  const longest = path.join(dir, 'k'.repeat(255));
  await expect(mergeIntoFile(longest, kubeconfig('first'))).rejects.toThrow(
    expect.objectContaining({ anchor: 'file-not-writable' }),
  );
  writeFileSync(longest, kubeconfig('first'));
  expect(await mergeIntoFile(longest, kubeconfig('first'))).toBe('unchanged');
});
