import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { isRunning, processPlace } from './this-process.ts';

test('a process of this machine is seen to run, and to have ended', async () => {
  const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)'], { stdio: 'ignore' });
  await once(child, 'spawn');
  const recorded = processPlace(child.pid);
  expect(recorded).toContain(` ${child.pid} `);
  expect(isRunning(recorded)).toBe(true);
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  expect(isRunning(recorded)).toBe(false);
});

test('a later process with the same number is not mistaken for it', () => {
  const mine = processPlace()!;
  expect(isRunning(mine)).toBe(true);
  expect(isRunning(mine.replace(/\d+$/, '1'))).toBe(false);
});

test('of other machines, other containers and older versions nothing is claimed', () => {
  const mine = processPlace()!;
  expect(isRunning(undefined)).toBeUndefined();
  expect(isRunning('')).toBeUndefined();
  expect(isRunning(`other-${mine}`)).toBeUndefined();
  expect(isRunning(mine.replace(/pid:\[\d+\]/, 'pid:[1]'))).toBeUndefined();
});
