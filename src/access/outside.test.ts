import { load } from 'js-yaml';
import { expect, test } from 'vitest';
import { refused } from '../../test/refused.ts';
import { parseSpec } from '../config/parse.ts';
import { groupInRbac, issuerOf, loginKubeconfig } from './outside.ts';

const short = {
  oidcIssuer: 'https://login.example.com',
  oidcClientId: 'kubernetes',
  oidcCa: '-----BEGIN CERTIFICATE-----',
};
const other = {
  issuer: { url: 'https://other.example.com', audiences: ['other'] },
  claimMappings: { username: { claim: 'sub' }, groups: { expression: 'claims.groups' } },
};
const specOf = (more: object) => parseSpec({ host: 'k.example.com', ...more }, 'here');
const both = specOf({
  ...short,
  authenticationConfig: {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    jwt: [other],
  },
});

test('the one issuer of a plane need not be named, one of several has to be', () => {
  expect(issuerOf(specOf(short)).issuer.url).toBe(short.oidcIssuer);
  expect(() => issuerOf(specOf({}))).toThrow(refused('no-issuer'));
  expect(() => issuerOf(both)).toThrow(refused('no-issuer', short.oidcIssuer, other.issuer.url));
  expect(() => issuerOf(both, 'https://x.example')).toThrow(refused('no-issuer', 'https://x.example'));
  expect(issuerOf(both, other.issuer.url).issuer.audiences).toEqual(['other']);
});

test('a group is told as RBAC sees it, where that follows from its name', () => {
  expect(groupInRbac(issuerOf(both, short.oidcIssuer), 'team')).toBe('oidc:team');
  expect(() => groupInRbac(issuerOf(both, other.issuer.url), 'team')).toThrow(refused('no-issuer', 'claims.groups'));
});

test('the kubeconfig for people has no credential, but how kubectl gets one', () => {
  const text = loginKubeconfig(issuerOf(specOf(short)), {
    host: 'k.example.com',
    server: 'https://k.example.com:443',
    authority: 'CA',
  });
  const { users } = load(text) as { users: { user: { exec: { command: string; args: string[] } } }[] };
  const { exec } = users[0]!.user;
  expect([exec.command, ...exec.args].slice(0, 5)).toEqual([
    'kubectl',
    'oidc-login',
    'get-token',
    '--oidc-issuer-url=https://login.example.com',
    '--oidc-client-id=kubernetes',
  ]);
  expect(exec.args.at(-1)).toMatch(/^--certificate-authority-data=/);
  expect(Object.keys(users[0]!.user)).toEqual(['exec']);
});

test('the scope groups is asked for where groups count alone: a provider may refuse one that it does not know', () => {
  const to = { host: 'k.example.com', server: 'https://k.example.com:443', authority: 'CA' };
  const issuer = issuerOf(specOf(short));
  const { groups: _, ...mappings } = issuer.claimMappings;
  expect(loginKubeconfig(issuer, to)).toContain('--oidc-extra-scope=groups');
  expect(loginKubeconfig({ ...issuer, claimMappings: mappings }, to)).not.toContain('--oidc-extra-scope=groups');
});
