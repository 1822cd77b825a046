import { expect, test } from 'vitest';
import { judgeNetwork } from './network-probe.ts';

const attempt = (component: string, reached: boolean, open = false) => ({ component, reached, open });

test('one that nobody may reach and that was reached tells that policies are not enforced', () => {
  expect(
    judgeNetwork([
      attempt('etcd', true),
      attempt('etcd', true),
      attempt('kube-scheduler', false),
      attempt('api', true, true),
    ]),
  ).toEqual({
    policies: 'not enforced',
    reached: ['etcd'],
  });
});

test('they are enforced where only what everybody may reach was reached', () => {
  expect(judgeNetwork([attempt('etcd', false), attempt('api', true, true)])).toEqual({
    policies: 'enforced',
    reached: [],
  });
});

test('a pod that reaches nothing says nothing about policies', () => {
  for (const attempts of [[], [attempt('api', true, true)], [attempt('etcd', false), attempt('api', false, true)]])
    expect(judgeNetwork(attempts)).toEqual({ policies: 'unknown', reached: [] });
});
