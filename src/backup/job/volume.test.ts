import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { volumeStore } from './volume.ts';

test('what a killed job left on the volume is deleted once no job can be at it, and nothing else', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'volume-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const made = (name: string, hours: number) => {
    const file = path.join(folder, name);
    writeFileSync(file, 'x');
    const then = new Date(Date.now() - hours * 3600 * 1000);
    utimesSync(file, then, then);
    return name;
  };
  made('.team-20261128T190000Z.backup.0a1b2c3d.part', 3);
  const kept = [
    made('.other-20261128T190000Z.backup.0a1b2c3d.part', 3),
    made('.team-20261128T200000Z.backup.0a1b2c3d.part', 1),
    made('team-20261127T190000Z.backup', 24),
  ];
  await volumeStore(folder).sweep('team-');
  expect(readdirSync(folder).sort()).toEqual(kept);
});
