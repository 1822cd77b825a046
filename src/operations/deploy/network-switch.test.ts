import { expect, test } from 'vitest';
import { switchesNetwork } from './network-switch.ts';

const flannel = { network: 'flannel', childAssets: true } as const;
const manifest = (networkManifest: string) => ({ network: 'manifest', networkManifest, childAssets: true }) as const;

test('another driver, and other manifests', () => {
  expect(switchesNetwork(flannel, { network: 'cilium', childAssets: true })).toBe(true);
  expect(switchesNetwork({}, { network: 'none', childAssets: true })).toBe(true);
  expect(switchesNetwork(manifest('a'), manifest('b'))).toBe(true);
});

test('the same driver with other options, and a plane whose network is none of ours', () => {
  expect(switchesNetwork(flannel, flannel)).toBe(false);
  expect(switchesNetwork(manifest('a'), manifest('a'))).toBe(false);
  expect(switchesNetwork(flannel, { network: 'cilium', childAssets: false })).toBe(false);
});
