import { expect, test } from 'vitest';
import { parseSpec } from '../config/parse.ts';
import { inTerminal } from '../ui/words.ts';
import { absentFiles, ownedArguments, unknownComponents } from './component-problems.ts';

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

test('L5: a file that nobody put into the pod is refused, but for an image of one’s own', () => {
  const files = [
    'admission-control-config-file=/x.yaml',
    '--token-auth-file=/etc/tokens',
    'tracing-config-file=/t.yaml',
  ];
  expect(absentFiles(spec({ apiServerArgs: files })).map(inTerminal)).toEqual([
    expect.stringContaining('/x.yaml'),
    expect.stringContaining('/etc/tokens'),
    expect.stringContaining('/t.yaml'),
  ]);
  expect(
    absentFiles(spec({ schedulerArgs: ['config=/scheduler.yaml'], etcdArgs: ['config-file=/e.yaml'] })),
  ).toHaveLength(2);
  expect(absentFiles(spec({ apiServerArgs: files, apiServerImage: 'mine:1' }))).toEqual([]);
  for (const argument of ['runtime-config=api/all=true', 'v=4', 'audit-log-path=/tmp/log', 'x-file=/usr/share/x'])
    expect(absentFiles(spec({ apiServerArgs: [argument] }))).toEqual([]);
});

test('resources of what is no component are refused with the names of those that there are', () => {
  expect(unknownComponents(spec({ resources: ['limits', 'etcd=cpu=100m'] }))).toEqual([]);
  expect(inTerminal(unknownComponents(spec({ resources: ['nginx=cpu=1'] }))[0]!)).toMatch(
    /nginx.*etcd, kube-apiserver/,
  );
});
