import { expect, test } from 'vitest';
import { chosen, rendered } from './store.ts';

test('a query of a person is searched within its time, whatever alternatives it has, and stays as it was written', () => {
  const { logsql, start } = chosen([], { logsql: 'level:error or level:fatal', since: '1h' });
  expect(logsql).toBe('level:error or level:fatal');
  expect(Date.now() - start!.getTime()).toBeGreaterThanOrEqual(3_600_000);
});

test('a number alone is seconds for the store too', () => {
  expect(chosen(['errors'], { since: '90' }).logsql).toContain('_time:90s ');
  expect(chosen(['errors'], { since: '2h' }).logsql).toContain('_time:2h ');
});

test('lines without a time are shown, and times to the millisecond', () => {
  expect(rendered([{ _msg: 'words' }])).toContain('words');
  expect(rendered([{ _time: '2026-05-01T12:00:00.1234567Z', _msg: 'words' }])).toContain('2026-05-01T12:00:00.123Z');
});
