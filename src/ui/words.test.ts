import { expect, test } from 'vitest';
import { again, command, option, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import { explained, inTerminal, told } from './words.ts';

test.each([
  [command('wake', 'team'), 'k8sk8s wake -n team'],
  [command('list'), 'k8sk8s list'],
  [command('restore', 'team', 'FILE', field('etcdStorage', '5Gi')), 'k8sk8s restore FILE -n team --etcd-storage 5Gi'],
  [command('deploy', 'team', option('reset', field('etcdStorage'))), 'k8sk8s deploy -n team --reset etcd-storage'],
  [command('logs', 'team', 'etcd', option('previous')), 'k8sk8s logs etcd -n team --previous'],
  [option('oldPlaneIsDown'), '--old-plane-is-down'],
  [option('s3Endpoint'), '--s3-endpoint'],
  [option('namespace'), '-n'],
  [field('etcdMembers', 3), '--etcd-members 3'],
  [field('childAssets'), '--no-child-assets'],
  [again, 'run the same command again'],
])('%j is said as %s', (part, said) => {
  expect(inTerminal([part])).toBe(said);
});

test('an error is a line for what, why and what to do; lines of the why are indented', () => {
  const finding = { what: 'no', why: 'first\nsecond', fix: words`run ${command('deploy')}` };
  expect(explained(finding)).toBe('no\n  why: first\n  second\n  do:  run k8sk8s deploy');
});

test('sentences in data for JSON are text, and nothing else changes', () => {
  const at = new Date(0);
  const data = {
    fix: words`run ${command('deploy')}`,
    list: ['a', 'b'],
    none: null,
    at,
    deep: [{ yes: [option('yes')] }],
  };
  expect(told(data)).toEqual({ ...data, fix: 'run k8sk8s deploy', deep: [{ yes: '--yes' }] });
});
