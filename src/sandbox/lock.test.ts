import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { withLock } from './lock.ts';

let home: string;

beforeAll(() => {
  home = mkdtempSync(path.join(tmpdir(), 'k8sk8s-locks-'));
  vi.stubEnv('XDG_STATE_HOME', home);
});

afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

const refuse = () => {
  throw new Error('taken');
};

test('many processes that wait for a lock whose holder is dead have it one after the other', async () => {
  const { stateRoot } = await import('./state.ts');
  mkdirSync(path.join(stateRoot(), 'locks'), { recursive: true });
  const dead = spawn(process.execPath, ['-e', '']);
  await new Promise((resolve) => dead.once('exit', resolve));
  writeFileSync(path.join(stateRoot(), 'locks', 'shared'), JSON.stringify({ pid: dead.pid, start: '1' }));
  const log = path.join(home, 'log');
  const lock = path.join(home, 'lock.mjs');
  buildSync({ entryPoints: ['src/sandbox/lock.ts'], bundle: true, platform: 'node', format: 'esm', outfile: lock });
  const program = `
    import { appendFileSync } from 'node:fs';
    import { setTimeout as sleep } from 'node:timers/promises';
    import { withLock } from ${JSON.stringify(lock)};
    for (let round = 0; round < 5; round++)
      await withLock('shared', 60, async () => {
        appendFileSync(${JSON.stringify(log)}, '+');
        await sleep(5);
        appendFileSync(${JSON.stringify(log)}, '-');
      }, () => { throw new Error('taken'); });`;
  const codes = await Promise.all(
    Array.from(
      { length: 4 },
      () =>
        new Promise((resolve) => {
          const args = ['--input-type=module', '-e', program];
          spawn(process.execPath, args, { env: { ...process.env, XDG_STATE_HOME: home } }).once('exit', resolve);
        }),
    ),
  );
  expect(codes).toEqual([0, 0, 0, 0]);
  expect(readFileSync(log, 'utf8')).toBe('+-'.repeat(20));
});

test('a lock that is held is not given to another', async () => {
  await withLock(
    'held',
    0,
    async () => {
      await expect(withLock('held', 0.1, async () => undefined, refuse)).rejects.toThrow('taken');
    },
    refuse,
  );
  await withLock('held', 0, async () => undefined, refuse);
});
