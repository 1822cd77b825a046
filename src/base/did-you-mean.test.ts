import { expect, test } from 'vitest';
import { didYouMean } from './did-you-mean.ts';

test('a suggestion is made for what is near, and not for what is not', () => {
  expect(didYouMean('serviceCIDR', ['serviceCidr', 'podCidr'])).toContain('serviceCidr');
  expect(didYouMean('banana', ['serviceCidr', 'podCidr'])).toBe('');
});
