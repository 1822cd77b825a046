import { spawn } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, inject, test } from 'vitest';
import { runsAllOf } from '../test-all.ts';
import { boxState, difference } from './box.ts';
import { changedNothing, eventually, run, succeeded } from './world.ts';

// A second sandbox beside the one of this run, killed while it is being made. Runs with `npm run test:all`.

const cli = path.resolve('dist/cli.js');
const name = 'crash';
const sandbox = (...rest: string[]) => run(process.execPath, [cli, 'sandbox', ...rest, '--name', name]);

describe.runIf(runsAllOf('e2e/sandbox-crash'))('sandbox', () => {
  test('down leaves nothing, wherever up was killed', async () => {
    const before = boxState();
    for (const after of [200, 700, 1500, 3000, 6000, 12_000]) {
      const up = spawn(process.execPath, [cli, 'sandbox', 'up', '--workers', '1', '--name', name], { stdio: 'ignore' });
      const ended = new Promise((resolve) => up.once('exit', resolve));
      await Promise.race([sleep(after), ended]);
      up.kill('SIGKILL');
      await ended;
      succeeded(await sandbox('down'));
      await eventually(30, async () => expect(difference(before, boxState()), `killed after ${after} ms`).toEqual([]));
    }
    changedNothing(await sandbox('down'));
  });

  test('up finishes what a killed one began, and leaves the other sandbox alone', async () => {
    const others = async () =>
      JSON.parse(
        succeeded(
          await run(process.execPath, [cli, 'sandbox', 'status', '--output', 'json', '--name', inject('sandbox')]),
        ).stdout,
      ).machines.map(({ name, address, running }: Record<string, unknown>) => [name, address, running]);
    const before = await others();
    const up = spawn(process.execPath, [cli, 'sandbox', 'up', '--workers', '1', '--name', name], { stdio: 'ignore' });
    const ended = new Promise((resolve) => up.once('exit', resolve));
    await Promise.race([sleep(4000), ended]);
    up.kill('SIGKILL');
    await ended;
    try {
      succeeded(await sandbox('up', '--workers', '1'));
      const status = JSON.parse(succeeded(await sandbox('status', '--output', 'json')).stdout);
      expect(status.machines.map(({ running }: { running: boolean }) => running)).toEqual([true, true]);
      expect(await others()).toEqual(before);
    } finally {
      succeeded(await sandbox('down'));
    }
  });
});
