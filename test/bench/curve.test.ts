import { expect, it } from 'vitest';
import { roundSteps } from './curve.ts';

it('an axis reaches over the largest value in round steps', () => {
  expect(roundSteps(30)).toEqual([0, 5, 10, 15, 20, 25, 30]);
  expect(roundSteps(15.2)).toEqual([0, 5, 10, 15, 20]);
  expect(roundSteps(0.58)).toEqual([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]);
});
