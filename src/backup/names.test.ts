import { expect, test } from 'vitest';
import { byTime, isScheduled, planeOf, scheduledName, scheduledStart } from './names.ts';

const time = new Date('2026-11-28T19:00:00.123Z');

test('where others keep theirs too, a name tells its plane and not only its namespace', () => {
  expect(scheduledName(scheduledStart('demo', 'plane-0123456789', false), time)).toBe('demo-20261128T190000Z.backup');
  expect(scheduledName(scheduledStart('demo', 'plane-0123456789', true), time)).toBe(
    'demo-0123456789-20261128T190000Z.backup',
  );
});

test("no name of another namespace or plane is taken for one's own", () => {
  const mine = scheduledStart('demo', 'plane-0123456789', true);
  expect(isScheduled(scheduledName(mine, time), mine)).toBe(true);
  for (const name of [
    'demo-9876543210-20261128T190000Z.backup',
    'demo-0123456789-a-20261128T190000Z.backup',
    'demo-20261128T190000Z.backup',
    'demo-0123456789-20261128T190000Z.backup.part',
    'notes',
  ])
    expect(isScheduled(name, mine)).toBe(false);
  expect(isScheduled('demo-b-20261128T190000Z.backup', scheduledStart('demo', 'plane-0123456789', false))).toBe(false);
});

test('those of several planes are in the order of their times', () => {
  const names = ['b-1-20261128T190000Z.backup', 'a-1-20261128T200000Z.backup', 'c-1-20261127T190000Z.backup'];
  expect(names.sort(byTime).map(planeOf)).toEqual(['c-1', 'b-1', 'a-1']);
});
