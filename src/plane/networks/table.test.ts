import { expect, test } from 'vitest';
import { parseSpec } from '../../config/parse.ts';
import { otherImages, upstreamRegistries } from '../../config/versions.ts';
import type { Workload } from '../../kube/objects.ts';
import { appsOfDrivers, driverOf } from './table.ts';

const specOf = (network: 'flannel' | 'cilium') => parseSpec({ host: 'k.example.com', network }, 'a test');
const all = [specOf('flannel'), specOf('cilium')];

test('--registry-mirror takes the registries of all images', () => {
  const images = [...Object.values(otherImages), ...all.flatMap((spec) => driverOf(spec).images(spec))];
  const registries = new Set(images.map((image) => image.slice(0, image.indexOf('/'))));
  expect([...registries].sort()).toEqual([...upstreamRegistries].sort());
});

test('a mirror mirrors the images of the driver, and an image given by name stays', () => {
  const spec = { ...specOf('flannel'), registryMirrors: { 'ghcr.io': 'mirror.test' }, flannelCniImage: 'own/plugin:1' };
  const [agent, plugin] = driverOf(spec).images(spec);
  expect(agent).toMatch(/^mirror\.test\/flannel-io\/flannel:/);
  expect(plugin).toBe('own/plugin:1');
});

test('status looks for the pods of a driver by the label that they have', () => {
  const objects = driverOf(all[0]!).objects(all[0]!, { apiHost: 'k.example.com', apiPort: '443', ca: 'CA' });
  const { template } = (objects.find(({ kind }) => kind === 'DaemonSet') as Workload).spec;
  expect(appsOfDrivers).toContain(template.metadata?.labels?.['k8s-app']);
});
