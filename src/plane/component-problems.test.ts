import { expect, test } from 'vitest';
import { parseSpec } from '../config/parse.ts';
import { ownedArgumentProblems, unknownComponents } from './component-problems.ts';

const spec = (input: object) => parseSpec({ host: 'k.example.com', ...input }, 'test');

test('an argument that k8sk8s owns is refused with the option to use instead', () => {
  expect(ownedArgumentProblems(spec({ apiServerArgs: ['service-cluster-ip-range=10.0.0.0/16'] }))).toEqual([
    '--api-server-arg service-cluster-ip-range is set by k8sk8s itself; use --service-cidr instead',
  ]);
  expect(ownedArgumentProblems(spec({ etcdArgs: ['--data-dir=/x'] }))[0]).toContain('--etcd-arg data-dir');
  expect(ownedArgumentProblems(spec({ apiServerArgs: ['v=4'] }))).toEqual([]);
});

test('resources of what is no component are refused with the names of those that there are', () => {
  expect(unknownComponents(spec({ resources: ['limits', 'etcd=cpu=100m'] }))).toEqual([]);
  expect(unknownComponents(spec({ resources: ['nginx=cpu=1'] }))[0]).toMatch(/nginx.*etcd, kube-apiserver/);
});
