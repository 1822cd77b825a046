import { expect, test } from 'vitest';
import { parseSpec } from '../../config/parse.ts';
import { byComponent } from './lookup.ts';

test('a registry mirrors the image of every component, and an image given by name stays', () => {
  const spec = parseSpec(
    { host: 'k.example.com', imageRegistry: 'mirror.test/x', etcdImage: 'own/etcd:1' },
    'the test',
  );
  expect(byComponent(({ image }) => image(spec))).toEqual({
    etcd: 'own/etcd:1',
    'kube-apiserver': expect.stringMatching(/^mirror\.test\/x\/kube-apiserver:v/),
    'kube-controller-manager': expect.stringMatching(/^mirror\.test\/x\/kube-controller-manager:v/),
    'kube-scheduler': expect.stringMatching(/^mirror\.test\/x\/kube-scheduler:v/),
  });
});
