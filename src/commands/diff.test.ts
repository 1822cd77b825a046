import { expect, test } from 'vitest';
import type { PlaneDiff } from '../drift/plane-diff.ts';
import { renderDiff } from './diff.ts';

const diff = (more: Partial<PlaneDiff>): PlaneDiff => ({
  namespace: 'team',
  plane: 'plane-1',
  deployedBy: '0.1.0',
  compared: 23,
  asleep: false,
  differences: [],
  ...more,
});

test('a plane that is as it was deployed', () => {
  expect(renderDiff(diff({}), '0.1.0')).toBe('All 23 objects are as recorded.');
});

test('shows of a list of arguments only what differs, and no value of a Secret', () => {
  const text = renderDiff(
    diff({
      differences: [
        {
          cluster: 'infra',
          kind: 'Deployment',
          name: 'kube-scheduler',
          state: 'changed',
          fields: [
            { path: 'spec.replicas', live: 0, recorded: 1 },
            { path: 'spec.args', live: ['--a', '--v=9'], recorded: ['--a', '--b=c'] },
          ],
        },
        { cluster: 'infra', kind: 'Secret', name: 'etcd', state: 'changed', fields: [{ path: 'data["etcd-0.key"]' }] },
        {
          cluster: 'hosted',
          kind: 'Service',
          name: 'kube-dns',
          namespace: 'kube-system',
          state: 'missing',
          fields: [],
        },
      ],
    }),
    '0.1.0',
  );
  expect(text.split('\n')).toEqual([
    'deployment "kube-scheduler" differs',
    '  spec.replicas:',
    '    - 0',
    '    + 1',
    '  spec.args:',
    '    - --v=9',
    '    + --b=c',
    'secret "etcd" differs',
    '  data["etcd-0.key"]: not what it should be (the values of Secrets are not shown)',
    'hosted cluster: kube-system service "kube-dns" is missing',
    '3 of 23 objects differ. To put them back: k8sk8s deploy -n team',
  ]);
});

test('a plane that sleeps is as recorded, and what would put it right wakes it', () => {
  expect(renderDiff(diff({ asleep: true }), '0.1.0').split('\n')).toEqual([
    'The plane sleeps, so the objects of its hosted cluster are not compared.',
    'All 23 objects of the infra cluster are as recorded.',
  ]);
  const missing = { cluster: 'infra', kind: 'Secret', name: 'etcd', state: 'missing', fields: [] } as const;
  expect(renderDiff(diff({ asleep: true, differences: [{ ...missing, fields: [] }] }), '0.1.0')).toContain(
    'To put them back, and wake the plane: k8sk8s deploy -n team',
  );
});

test('says what it could not compare, and that another k8sk8s deployed the plane', () => {
  const text = renderDiff(
    diff({
      unknown: 'connect ECONNREFUSED',
      deployedBy: '0.0.9',
      differences: [{ cluster: 'infra', kind: 'Secret', name: 'etcd', state: 'missing', fields: [] }],
    }),
    '0.1.0',
  );
  expect(text).toContain('cannot be asked, so its objects are not compared: connect ECONNREFUSED');
  expect(text).toContain('deployed by k8sk8s 0.0.9; this one, 0.1.0, may want other things');
});
