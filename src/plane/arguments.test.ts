import { expect, test } from 'vitest';
import { parseSpec } from '../config/parse.ts';
import { extraArguments, overrideDefaults, ownedArgumentProblems } from './arguments.ts';

const spec = (input: object) => parseSpec({ host: 'k.example.com', ...input }, 'test');

test('an argument that k8sk8s owns is refused with the option to use instead', () => {
  expect(ownedArgumentProblems(spec({ apiServerArgs: ['service-cluster-ip-range=10.0.0.0/16'] }))).toEqual([
    '--api-server-arg service-cluster-ip-range is set by k8sk8s itself; use --service-cidr instead',
  ]);
  expect(ownedArgumentProblems(spec({ etcdArgs: ['--data-dir=/x'] }))[0]).toContain('--etcd-arg data-dir');
  expect(ownedArgumentProblems(spec({ apiServerArgs: ['v=4'] }))).toEqual([]);
});

test('feature gates reach the Kubernetes components and not etcd', () => {
  const given = spec({ featureGates: { A: 'true', B: 'false' }, etcdArgs: ['snapshot-count=100'] });
  expect(extraArguments(given, 'kube-scheduler')).toEqual(['--feature-gates=A=true,B=false']);
  expect(extraArguments(given, 'etcd')).toEqual(['--snapshot-count=100']);
});

test("a person's argument replaces the default of the same name", () => {
  expect(overrideDefaults(['--profiling=false', '--a=1'], ['--profiling=true'])).toEqual(['--a=1', '--profiling=true']);
});

test("a person's admission plugins join those that the plane rests on", () => {
  expect(
    overrideDefaults(
      ['--enable-admission-plugins=NodeRestriction,DenyServiceExternalIPs'],
      ['--enable-admission-plugins=AlwaysPullImages,NodeRestriction'],
    ),
  ).toEqual(['--enable-admission-plugins=NodeRestriction,DenyServiceExternalIPs,AlwaysPullImages']);
});
