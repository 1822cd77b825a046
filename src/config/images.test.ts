import { expect, test } from 'vitest';
import { imagesOf } from './images.ts';
import { parseSpec } from './parse.ts';

test('a mirror of one upstream registry mirrors its images alone, and wins', () => {
  const mirrors = { 'docker.io': 'mirror.test/hub/', 'registry.k8s.io': 'k8s.mirror.test' };
  const spec = parseSpec({ host: 'k.example.com', registryMirrors: mirrors }, 'the test');
  expect(imagesOf(spec)).toMatchObject({
    node: expect.stringMatching(/^mirror\.test\/hub\/library\/node:/),
    kubeProxy: expect.stringMatching(/^k8s\.mirror\.test\/kube-proxy:v/),
  });
  const both = parseSpec({ ...spec, imageRegistry: 'all.test' }, 'the test');
  expect(imagesOf(both)).toMatchObject({
    node: expect.stringMatching(/^mirror\.test\/hub\//),
    coredns: expect.stringMatching(/^k8s\.mirror\.test\/coredns\/coredns:/),
  });
});

test('a registry mirrors every image, and an image given by name stays', () => {
  const spec = parseSpec(
    { host: 'k.example.com', imageRegistry: 'mirror.test/x', kubeProxyImage: 'own/proxy:1' },
    'the test',
  );
  expect(imagesOf(spec)).toMatchObject({
    kubeProxy: 'own/proxy:1',
    coredns: expect.stringMatching(/^mirror\.test\/x\/coredns\/coredns:v/),
  });
});
