import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { order } from '../e2e/order.ts';

test('every e2e file has its place in the order, and every place its file', () => {
  const files = readdirSync('test/e2e').filter((file) => file.endsWith('.test.ts'));
  expect([...order].sort()).toEqual(files.map((file) => file.replace('.test.ts', '')).sort());
});
