import { expect, test } from 'vitest';
import { canonicalQuantity, formatQuantity, parseQuantity } from './quantity.ts';

test.each([
  ['0', 0],
  ['4', 4],
  ['1.5', 1.5],
  ['105m', 0.105],
  ['250u', 0.00025],
  ['2k', 2000],
  ['1e3', 1000],
  ['1E3', 1000],
  ['12e-1', 1.2],
  ['1E', 1e18],
  ['64Mi', 64 * 2 ** 20],
  ['1Pi', 2 ** 50],
])('%s is %d', (text, value) => {
  expect(parseQuantity(text)).toBeCloseTo(value, 9);
});

test.each(['', 'much', '1 Gi', '1Kib', 'Mi', '1e'])('"%s" is no quantity, and not nothing either', (text) => {
  expect(parseQuantity(text)).toBeUndefined();
});

test('amounts are written the way people ask for them', () => {
  expect(formatQuantity('requests.memory', 288 * 2 ** 20)).toBe('288Mi');
  expect(formatQuantity('limits.cpu', 0.10500000000000001)).toBe('105m');
  expect(formatQuantity('count/deployments.apps', 3)).toBe('3');
});

test.each([
  ['20Gi', ['20Gi', '20480Mi', '21474836480', '20971520Ki']],
  ['2G', ['2G', '2000M', '2e9', '1953125Ki']],
  ['1536Mi', ['1.5Gi', '1536Mi']],
  ['500m', ['0.5', '500m', '.5']],
  ['2', ['2', '2000m', '2.0']],
  ['100m', ['0.1', '100m']],
  ['0', ['0', '0Mi']],
])('%s has one spelling', (spelling, texts) => {
  expect(texts.map(canonicalQuantity)).toEqual(texts.map(() => spelling));
});

test.each(['250u', '1n', 'much'])('%s stays as it is', (text) => {
  expect(canonicalQuantity(text)).toBe(text);
});
