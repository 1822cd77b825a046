import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { waitFor } from './wait-for.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const late = (after: string) => new Error(`the bus did not come within ${after}`);

test('the first answer that is one ends the wait', async () => {
  const answers = [undefined, false, 0];
  const until = vi.fn(() => answers.shift());
  const found = waitFor({ until, timeout: 10_000, every: 1000, late });
  await vi.advanceTimersByTimeAsync(2000);
  expect(await found).toBe(0);
  expect(until).toHaveBeenCalledTimes(3);
});

test('an answer at once waits for nothing', async () => {
  expect(await waitFor({ until: () => true, timeout: 0, late })).toBe(true);
});

test('the time that is over is an error that says what was waited for, after one last question', async () => {
  const until = vi.fn(() => false as const);
  const found = expect(waitFor({ until, timeout: 3000, every: 1000, late })).rejects.toThrow(
    'bus did not come within 3 s',
  );
  await vi.advanceTimersByTimeAsync(3000);
  await found;
  expect(until).toHaveBeenCalledTimes(4);
});

test('a clock that is set meanwhile does not matter', async () => {
  let asked = 0;
  const until = () => {
    vi.setSystemTime(Date.now() + 3_600_000);
    return ++asked === 3;
  };
  const found = waitFor({ until, timeout: 10_000, every: 1000, late });
  await vi.advanceTimersByTimeAsync(2000);
  expect(await found).toBe(true);
});

test('a failure that is known ends it, but not where the answer is there', async () => {
  const failure = () => new Error('the road is closed');
  await expect(waitFor({ until: () => false, timeout: 1000, failure, late })).rejects.toThrow('closed');
  expect(await waitFor({ until: () => 'here', timeout: 1000, failure, late })).toBe('here');
});

test('the signal ends it at once, with its reason', async () => {
  const stop = new AbortController();
  const found = expect(
    waitFor({ until: () => false, timeout: 60_000, every: 30_000, signal: stop.signal, late }),
  ).rejects.toThrow('enough');
  await vi.advanceTimersByTimeAsync(10);
  stop.abort(new Error('enough'));
  await found;
  expect(vi.getTimerCount()).toBe(0);
});

test('what is waited for right now is told', async () => {
  const told: string[] = [];
  const phase = { update: (text: string) => void told.push(text), done: () => undefined, fail: () => undefined };
  const left = ['b', 'a'];
  const found = waitFor({
    until: () => left.length === 0,
    timeout: 1000,
    every: 100,
    late,
    phase,
    now: () => left.pop(),
  });
  await vi.advanceTimersByTimeAsync(300);
  expect(await found).toBe(true);
  expect(told).toEqual(['a', 'b']);
});

test('many who wait at a time for one signal are no leak: nobody is warned, and nothing of them is left', async () => {
  const { signal } = new AbortController();
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  let done = false;
  const all = Array.from({ length: 16 }, () =>
    waitFor({ until: () => done, timeout: 3000, every: 1000, signal, late }),
  );
  await vi.advanceTimersByTimeAsync(500);
  done = true;
  await vi.advanceTimersByTimeAsync(1000);
  await Promise.all(all);
  expect(warn).not.toHaveBeenCalled();
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  warn.mockRestore();
});
