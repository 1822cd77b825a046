import { expect, test } from 'vitest';
import { refused } from '../../../test/refused.ts';
import { foreignDifferences, skewProblems } from './plan.ts';

const worker = (version: string) => ({ name: 'worker-1', version, ready: true });

test('a kubelet may be up to three minors older than the API server, and never newer', () => {
  for (const version of ['v1.37.2', 'v1.36.3', 'v1.34.0', ''])
    expect(skewProblems([worker(version)], '1.37.2')).toEqual([]);
  for (const [kubelet, to] of [
    ['v1.33.9', '1.37.2'],
    ['v1.37.0', '1.36.3'],
  ] as const)
    expect(skewProblems([worker(kubelet)], to)).toEqual([refused('upgrade-refused', 'worker-1', kubelet, to)]);
});

test('what a killed run of the same upgrade left does not stand against it, what somebody else changed does', () => {
  const object = (name: string) => ({
    cluster: 'infra' as const,
    kind: 'Deployment',
    name,
    state: 'changed' as const,
    fields: [],
  });
  const [upgraded, untouched, edited] = [object('kube-apiserver'), object('kube-scheduler'), object('etcd')];
  expect(foreignDifferences([upgraded, edited], { differences: [untouched, edited] })).toEqual([edited]);
  expect(foreignDifferences([upgraded], { differences: [untouched] })).toEqual([]);
});
