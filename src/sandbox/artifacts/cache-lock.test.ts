import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Holder, liveLocks, withCacheLock } from './cache-lock.ts';

let root: string;
let script: string;

// Holds the lock until a file is there, and writes when it got and left it.
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'k8sk8s-lock-'));
  script = join(root, 'holder.mjs');
  const source = `
    import { existsSync } from 'node:fs';
    import { appendFile } from 'node:fs/promises';
    import { setTimeout } from 'node:timers/promises';
    import { withCacheLock } from './cache-lock.ts';
    const [folder, log, release] = process.argv.slice(2);
    await withCacheLock(folder, 'thing', (holder) => console.log('waits for ' + holder.pid), async () => {
      await appendFile(log, 'in\\n');
      console.log('in');
      while (!existsSync(release)) await setTimeout(20);
      await appendFile(log, 'out\\n');
    });
  `;
  await build({
    stdin: { contents: source, resolveDir: import.meta.dirname, loader: 'ts' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: script,
  });
});
afterAll(() => rm(root, { recursive: true, force: true }));

const start = (folder: string, log: string, release: string): ChildProcess =>
  spawn(process.execPath, [script, folder, log, release], { stdio: ['ignore', 'pipe', 'inherit'] });

test('of several processes one at a time holds a lock, and the others say whom they wait for', async () => {
  const folder = join(root, 'several');
  const log = join(root, 'several.log');
  const release = join(root, 'several.release');
  const processes = Array.from({ length: 4 }, () => start(folder, log, release));
  const said = processes.map(() => '');
  for (const [index, child] of processes.entries()) child.stdout?.on('data', (chunk) => (said[index] += chunk));
  await Promise.all(processes.map((child) => once(child.stdout!, 'data')));
  await writeFile(release, '');
  const codes = await Promise.all(processes.map(async (child) => (await once(child, 'close'))[0]));
  expect(codes).toEqual([0, 0, 0, 0]);
  expect(await readFile(log, 'utf8')).toBe('in\nout\n'.repeat(4));
  const pids = processes.map((child) => String(child.pid));
  expect(said.filter((text) => pids.includes(/waits for (\d+)/.exec(text)?.[1] ?? ''))).toHaveLength(3);
  expect(await readdir(folder)).toEqual([]);
});

test('the lock of a killed process is taken over by exactly one of those that wait', async () => {
  const folder = join(root, 'killed');
  const log = join(root, 'killed.log');
  const first = start(folder, log, join(root, 'never'));
  await once(first.stdout!, 'data');
  expect((await liveLocks(folder)).map((holder) => holder.pid)).toEqual([first.pid]);
  first.kill('SIGKILL');
  await once(first, 'close');
  expect(await liveLocks(folder)).toEqual([]);
  await writeFile(log, '');
  const processes = Array.from({ length: 3 }, () => start(folder, log, root));
  await Promise.all(processes.map((child) => once(child, 'close')));
  expect(await readFile(log, 'utf8')).toBe('in\nout\n'.repeat(3));
});

test('a process that was given a dead holder’s pid does not keep its lock alive', async () => {
  const folder = join(root, 'reused');
  await mkdir(folder);
  const holder: Holder = { pid: process.pid, started: '1', name: 'thing' };
  await writeFile(join(folder, 'thing.lock'), JSON.stringify(holder));
  await expect(
    withCacheLock(
      folder,
      'thing',
      () => expect.unreachable(),
      async () => 'done',
    ),
  ).resolves.toBe('done');
});

test('a lock is let go when the work fails', async () => {
  const folder = join(root, 'fails');
  const failing = withCacheLock(
    folder,
    'thing',
    () => undefined,
    () => Promise.reject(new Error('no')),
  );
  await expect(failing).rejects.toThrow('no');
  expect(await readdir(folder)).toEqual([]);
});
