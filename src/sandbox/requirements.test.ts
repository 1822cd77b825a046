import { statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { roomOnDisk } from './requirements.ts';

test('a disk without room for the machines of a sandbox is told with what they take', () => {
  expect(roomOnDisk(tmpdir(), [])).toBeUndefined();
  const { bsize, blocks } = statfsSync(tmpdir());
  const tooMany = Math.ceil((bsize * blocks) / 2 ** 30 / 5);
  const machines = Array.from({ length: tooMany }, () => ({ role: 'infra' as const }));
  expect(roomOnDisk(tmpdir(), machines)).toContain(`${tooMany * 5} GiB`);
});
