import { describe, expect, test } from 'vitest';
import { compare, shuffled, summarize } from './statistics.ts';

describe('summarize', () => {
  test('takes the middle of an odd and of an even number of values', () => {
    expect(summarize([5, 1, 3])).toEqual({ median: 3, minimum: 1, maximum: 5, noise: 2 });
    expect(summarize([1, 2, 3, 10]).median).toBe(2.5);
  });

  test('one outlier moves neither median nor noise far', () => {
    const { median, noise } = summarize([100, 101, 102, 103, 900]);
    expect(median).toBe(102);
    expect(noise).toBe(2);
  });

  test('refuses to summarize nothing', () => {
    expect(() => summarize([])).toThrow('nothing was measured');
  });
});

describe('compare', () => {
  const run = (median: number, noise: number) => ({ median, minimum: 0, maximum: 0, noise });

  test('a difference that is no larger than the spread of the runs is noise', () => {
    expect(compare(run(1000, 100), run(1090, 100)).verdict).toBe('within the noise');
    expect(compare(run(1000, 100), run(1110, 100)).verdict).toBe('slower');
    expect(compare(run(1000, 20), run(900, 100)).verdict).toBe('faster');
  });
});

test('shuffled keeps every item, and the order follows from the random numbers', () => {
  expect(shuffled([1, 2, 3, 4]).sort()).toEqual([1, 2, 3, 4]);
  expect(shuffled(['floor', 'deploy'], () => 0)).toEqual(['deploy', 'floor']);
  expect(shuffled(['floor', 'deploy'], () => 0.99)).toEqual(['floor', 'deploy']);
});
