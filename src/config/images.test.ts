import { expect, test } from 'vitest';
import { imagesOf } from './images.ts';
import { parseSpec } from './parse.ts';

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
