import { expect, test } from 'vitest';
import { plain } from '../base/words.ts';
import type { Authenticator } from './api-server-files.ts';
import { authenticatorsOf, identityProblems, reservedPrefixes } from './identity.ts';
import { allAuthenticatorsOf } from './infra-identity.ts';
import { type ClusterSpecInput, clusterSpec } from './schema.ts';

const url = 'https://login.example.com/realm';
const short = { oidcIssuer: url, oidcClientId: 'kubernetes' };

const specOf = (more: Partial<ClusterSpecInput>) => clusterSpec.parse({ host: 'k.example.com', ...more });

const jwt = (issuer: object, mappings: object = {}): Authenticator =>
  ({
    issuer: { url: 'https://other.example.com', audiences: ['x'], ...issuer },
    claimMappings: { username: { claim: 'sub' }, ...mappings },
  }) as Authenticator;

const file = (...issuers: Authenticator[]) => ({
  authenticationConfig: {
    apiVersion: 'apiserver.config.k8s.io/v1' as const,
    kind: 'AuthenticationConfiguration' as const,
    jwt: issuers,
  },
});

const problems = (more: Partial<ClusterSpecInput>) => identityProblems(specOf(more)).map(plain);

test('both ways become one list, each issuer by the gate and with a prefix of its own', () => {
  const all = authenticatorsOf(specOf({ ...short, ...file(jwt({}, { groups: { claim: 'groups', prefix: '' } })) }));
  expect(all).toMatchObject([
    {
      issuer: { url, audiences: ['kubernetes'], egressSelectorType: 'controlplane' },
      claimMappings: {
        username: { claim: 'sub', prefix: 'oidc:' },
        groups: { claim: 'groups', prefix: 'oidc:' },
      },
    },
    {
      issuer: { egressSelectorType: 'controlplane' },
      claimMappings: {
        username: { claim: 'sub', prefix: 'https://other.example.com#' },
        groups: { claim: 'groups', prefix: '' },
      },
    },
  ]);
  for (const { userValidationRules } of all)
    for (const prefix of reservedPrefixes) {
      const of = userValidationRules!.filter(({ expression }) => expression.includes(`startsWith("${prefix}")`));
      expect(of.map(({ expression }) => /user\.\w+/.exec(expression)?.[0])).toEqual(['user.username', 'user.groups']);
    }
});

test("rules of the file stay, and a rule that is k8sk8s' own is there once", () => {
  const [own] = authenticatorsOf(specOf(short));
  const rules = [...own!.userValidationRules!, { expression: 'true' }];
  const [made] = authenticatorsOf(specOf(file({ ...jwt({}), userValidationRules: rules })));
  expect(made!.userValidationRules).toEqual(rules);
});

test("a name of Kubernetes that is let through opens none of the plane's own", () => {
  const [all] = authenticatorsOf(specOf({ ...short, oidcGroupsPrefix: '-', allowSystemNames: ['system:x'] }));
  const rules = all!.userValidationRules!.map(({ expression }) => expression);
  expect(rules.filter((each) => each.includes('system:x'))).toHaveLength(2);
  expect(rules).toContain('user.groups.all(group, !group.startsWith("k8sk8s:"))');
});

test('an issuer names nobody of another one, whether its own prefix is empty, the beginning of the other or made by an expression', () => {
  const guards = (first: object) => {
    const other = jwt({}, { username: { claim: 'sub', prefix: 'corp:b:"' }, groups: { claim: 'g', prefix: 'corp:' } });
    const [made, second] = authenticatorsOf(specOf(file(jwt({ url }, first), other)));
    expect(JSON.stringify(second)).not.toContain(url);
    return made!.userValidationRules!.map(({ expression }) => expression).filter((each) => each.includes('corp:'));
  };
  const [user, group] = [
    '!user.username.startsWith("corp:b:\\"")',
    'user.groups.all(group, !group.startsWith("corp:"))',
  ];
  const of = (prefix: string) => ({ username: { claim: 'sub', prefix }, groups: { claim: 'g', prefix } });
  expect(guards(of(''))).toEqual([user, group]);
  expect(guards({ username: { expression: 'claims.x' }, groups: { expression: 'claims.y' } })).toEqual([user, group]);
  expect(guards({ username: { claim: 'sub', prefix: 'corp:' } })).toEqual([user]);
  expect(guards(of('oidc:'))).toEqual([]);
  const [expressed] = authenticatorsOf(specOf(file(jwt({ url }, { username: { expression: 'x' } }), jwt({}, of('')))));
  expect(JSON.stringify(expressed)).not.toContain('startsWith(\\"\\")');
});

test.each<[string, Partial<ClusterSpecInput>, string]>([
  ['an issuer that is given twice', { ...short, ...file(jwt({ url })) }, url],
  [
    'two issuers with one prefix',
    { ...short, ...file(jwt({}, { username: { claim: 'sub', prefix: 'oidc:' } })) },
    'prefix of user names "oidc:"',
  ],
  ['a way past the gate', file(jwt({ egressSelectorType: 'cluster' })), 'egressSelectorType'],
  [
    'who is anonymous',
    { authenticationConfig: { ...file(jwt({})).authenticationConfig, anonymous: { enabled: true } } },
    'anonymous',
  ],
  [
    "the hosted cluster's own issuer",
    { oidcIssuer: 'https://k.example.com', oidcClientId: 'x' },
    "hosted cluster's own",
  ],
  ['a URL that no issuer has', file(jwt({ url: 'http://login.example.com' })), 'http://login.example.com'],
  ['a discovery URL that is none', file(jwt({ discoveryURL: 'https://a b' })), 'https://a b'],
])('%s is refused', (_, more, fact) => {
  expect(problems(more).join()).toContain(fact);
});

test('an issuer at the same machine at another port is another one', () => {
  expect(problems({ oidcIssuer: 'https://k.example.com:8443', oidcClientId: 'x' })).toEqual([]);
});

test('no other issuer names somebody of the infra cluster', () => {
  const infra = { url: 'https://infra.example', certificateAuthority: 'CA', audience: 'k8sk8s.io/plane' };
  const spec = specOf({ ...short, oidcUsernamePrefix: '-', trustInfra: ['team-a'] });
  const [outside, own] = allAuthenticatorsOf(spec, infra);
  expect(JSON.stringify(outside!.userValidationRules)).toContain('!user.username.startsWith(\\"infra:\\")');
  expect(own!.issuer.url).toBe(infra.url);
  expect(problems({ ...short, oidcUsernamePrefix: 'infra:', trustInfra: ['team-a'] })[0]).toContain('infra:');
});
