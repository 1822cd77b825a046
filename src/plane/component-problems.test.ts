import { expect, test } from 'vitest';
import { parseSpec } from '../config/parse.ts';
import { inTerminal } from '../ui/words.ts';
import { ownedArguments, unknownComponents } from './component-problems.ts';

const spec = (input: object) => parseSpec({ host: 'k.example.com', ...input }, 'test');

test('L3: an argument that k8sk8s owns is refused with the option to use instead', () => {
  const [cidr] = ownedArguments(spec({ apiServerArgs: ['service-cluster-ip-range=10.0.0.0/16'] }));
  expect(cidr).toMatchObject({ instead: 'serviceCidr' });
  expect(inTerminal(cidr!.what)).toContain('--api-server-arg service-cluster-ip-range');
  expect(inTerminal(cidr!.what)).toContain('--service-cidr');
  expect(inTerminal(ownedArguments(spec({ etcdArgs: ['--data-dir=/x'] }))[0]!.what)).toContain('--etcd-arg data-dir');
  for (const [argument, instead] of [
    ['oidc-issuer-url=https://x.example', 'oidcIssuer'],
    ['authorization-mode=AlwaysAllow', 'authorizationConfig'],
  ])
    expect(ownedArguments(spec({ apiServerArgs: [argument] }))).toMatchObject([{ instead }]);
  expect(ownedArguments(spec({ apiServerArgs: ['v=4'] }))).toEqual([]);
});

test('resources of what is no component are refused with the names of those that there are', () => {
  expect(unknownComponents(spec({ resources: ['limits', 'etcd=cpu=100m'] }))).toEqual([]);
  expect(inTerminal(unknownComponents(spec({ resources: ['nginx=cpu=1'] }))[0]!)).toMatch(
    /nginx.*etcd, kube-apiserver/,
  );
});
