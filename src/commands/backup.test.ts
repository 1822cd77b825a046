import { expect, test } from 'vitest';
import { leftOut } from './backup.ts';

test('who makes a backup is told what of the plane is not in it', () => {
  expect(leftOut({ workerPods: 0, logs: false })).toEqual([]);
  expect(leftOut({ workerPods: 2, logs: false })).toEqual([expect.stringContaining('2 worker pods')]);
  expect(leftOut({ workerPods: 0, logs: true })).toEqual([expect.stringContaining('logs')]);
});
