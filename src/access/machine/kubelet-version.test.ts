import { expect, test } from 'vitest';
import { kubeletVersionOf } from './kubelet-version.ts';

const plane = { kubernetesVersion: '1.37.2' };

test.each([
  ['1.36.3', '1.36.3'],
  ['v1.36.3', '1.36.3'],
  ['1.36', '1.36.3'],
  ['v1.34', '1.34.4'],
  ['1.37.9', '1.37.9'],
])('%s is the kubelet %s', (wanted, version) => {
  expect(kubeletVersionOf(plane, wanted)).toBe(version);
});

test.each(['1.38.0', '1.33.9', '1.30', 'latest', '1', '', "1.37.2'; reboot"])('%s is refused', (wanted) => {
  expect(() => kubeletVersionOf(plane, wanted)).toThrow(expect.objectContaining({ anchor: 'bad-values' }));
});
