import { expect, test } from 'vitest';
import { testRows } from '../../plane/networks/test-rows.ts';
import { stateOfRow } from './network-test.ts';
import { rows } from './rows.ts';

test('a row that passes although the driver says that it cannot is an error in the driver', () => {
  expect(stateOfRow(true, { seen: 'closed' }).state).toBe('failed');
  expect(stateOfRow(false, { seen: 'closed' })).toEqual({ state: 'passed', detail: 'closed' });
});

test('only what the driver declares is not supported', () => {
  expect(stateOfRow(true, { failure: 'open' })).toEqual({ state: 'not supported', detail: 'open' });
  expect(stateOfRow(false, { failure: 'open' })).toEqual({ state: 'failed', detail: 'open' });
});

test('a network that is broken says nothing about what its driver can do', () => {
  expect(stateOfRow(true, { failure: 'no answer', because: 'pod-addresses' })).toEqual({
    state: 'failed',
    detail: 'no answer',
    because: 'pod-addresses',
  });
});

test('a row stands on rows that were tried before it', () => {
  for (const [at, row] of testRows.entries())
    for (const need of rows[row].needs) expect(testRows.indexOf(need), row).toBeLessThan(at);
});
