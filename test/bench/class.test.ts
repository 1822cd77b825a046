import { expect, test } from 'vitest';
import { courseOf } from './class.ts';

test('the lines of a class command tell how long each plane took, and which was tried again', () => {
  const lines = [
    { at: 100, text: '2 planes are to get pods: 8' },
    { at: 200, text: 's01: deploying' },
    { at: 210, text: 's02: deploying' },
    { at: 900, text: 's01: failed: not available' },
    { at: 1000, text: 's02: created' },
    { at: 1100, text: 's01: deploying' },
    { at: 2200, text: 's01: created' },
  ];
  expect(courseOf({ lines, milliseconds: 2300 }, 'created')).toEqual({
    milliseconds: 2300,
    eachMs: [790, 2000],
    triedAgain: 1,
  });
});
