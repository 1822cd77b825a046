import { expect, test } from 'vitest';
import { type Call, summaryOf, unexplained } from './tunnel-load.ts';

const call = (at: number, ms: number, error?: string): Call => ({ kind: 'exec', at, ms, error });
const kills = [{ what: 'hub', at: 100_000 }];

test.each([
  ['began before the kill and ended after it', call(99_000, 3000, 'cut off'), 0],
  ['began soon after the kill', call(109_000, 5000, 'cut off'), 0],
  ['ended before the kill', call(90_000, 5000, 'cut off'), 1],
  ['began later', call(111_000, 10, 'cut off'), 1],
  ['succeeded', call(150_000, 10), 0],
])('a call that %s', (_, one, count) => {
  expect(unexplained([one], kills)).toHaveLength(count);
});

test('failures count neither for the time that calls take nor for how many there are in a second', () => {
  const calls = [call(0, 100), call(500, 300), call(1000, 1000, 'cut off')];
  expect(summaryOf(calls, 'exec')).toEqual({ count: 3, failed: 1, median: 200, p99: 298, throughput: 1 });
});
