import { expect, test } from 'vitest';
import { cronOf } from './schedule.ts';

const minute = 60_000;

test('what divides an hour or a day is said as cron says it', () => {
  expect(cronOf(5 * minute, 77)).toBe('*/5 * * * *');
  expect(cronOf(60 * minute, 77)).toBe('17 * * * *');
  expect(cronOf(6 * 60 * minute, 77)).toBe('17 */6 * * *');
  expect(cronOf(24 * 60 * minute, 77)).toBe('17 5 * * *');
});

test('nothing else is rounded to something', () => {
  for (const every of [minute, 7 * minute, 90 * minute, 5 * 60 * minute, 48 * 60 * minute])
    expect(() => cronOf(every, 0)).toThrow('divides an hour or a day');
});
