import { expect, test } from 'vitest';
import { parseSpec } from '../config/parse.ts';
import { extraArguments, overrideDefaults } from './arguments.ts';
import { componentNamed } from './components/lookup.ts';

const spec = (input: object) => parseSpec({ host: 'k.example.com', ...input }, 'test');

test('feature gates reach the Kubernetes components and not etcd', () => {
  const given = spec({ featureGates: { A: 'true', B: 'false' }, etcdArgs: ['snapshot-count=100'] });
  expect(extraArguments(given, componentNamed('kube-scheduler'))).toEqual(['--feature-gates=A=true,B=false']);
  expect(extraArguments(given, componentNamed('etcd'))).toEqual(['--snapshot-count=100']);
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
