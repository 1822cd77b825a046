import { expect, test } from 'vitest';
import { fixedTime } from './fixed-time.ts';

test('times of a kubelet and of the store compare, whatever their zone and width', () => {
  expect(fixedTime('2026-05-01T12:00:01.5+05:30')).toBe('2026-05-01T06:30:01.500000000Z');
  expect(fixedTime('2026-05-01T12:00:01.5Z')).toBe('2026-05-01T12:00:01.500000000Z');
  expect(fixedTime('2026-05-01T12:00:01Z')).toBe('2026-05-01T12:00:01.000000000Z');
});
