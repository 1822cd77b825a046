import { expect, test } from 'vitest';
import { decodeKubeconfig } from './decode.ts';

const user = (fields: string) => `users: [{name: u, user: {${fields}}}]`;

test.each([
  '',
  '\n',
  '# words\n',
  '---\n',
  'null',
  '{}',
  'clusters: null\nusers:\ncontexts: []\n',
  '--- # words\n---\na: [',
])('takes %j for an empty one', (text) => {
  expect(decodeKubeconfig(text)).toMatchObject({ currentContext: '', clusters: new Map(), users: new Map() });
});

test('takes what Go takes', () => {
  expect(decodeKubeconfig('current-context: a\ncurrent-context: b').currentContext).toBe('b');
  expect(decodeKubeconfig('current-context: a\n---\n- [').currentContext).toBe('a');
  expect(decodeKubeconfig('%YAML 1.1\n---\ncurrent-context: a\n...\nx').currentContext).toBe('a');
  expect(decodeKubeconfig('\uFEFF{\n\t"current-context":\t"a"\r\n}').currentContext).toBe('a');
  expect(decodeKubeconfig('current-context: 2001-01-01').currentContext).toBe('2001-01-01');
  expect(decodeKubeconfig('current-context: 1.2.3').currentContext).toBe('1.2.3');
  expect(decodeKubeconfig('current-context: 1e').currentContext).toBe('1e');
  expect(decodeKubeconfig('clusters: [null]').clusters.get('')).toMatchObject({ server: '' });
  const merged = decodeKubeconfig(`x: &x {token: t}\n${user('<<: *x, username: v')}`);
  expect(merged.users.get('u')).toMatchObject({ token: 't', username: 'v' });
  expect(decodeKubeconfig(user('client-key-data: "aGVs\\nbG8="')).users.get('u')?.['client-key-data']).toBe('hello');
});

test.each([
  ['a list', '- c2VjcmV0', 'no fields'],
  ['a word', 'c2VjcmV0', 'no fields'],
  ['broken YAML', 'a:\n  b: [\nc2VjcmV0', 'line'],
  ['a number', user('token: 12345'), 'users[0].user.token'],
  ['a number with underscores', user('token: 1_2'), 'users[0].user.token'],
  ['an octal', user('token: 0o17'), 'users[0].user.token'],
  ['what could be an octal', user('token: 08'), 'users[0].user.token'],
  ['a float', user('token: 1e5'), 'users[0].user.token'],
  ['yes', user('token: yes'), 'users[0].user.token'],
  [
    'a word for a flag',
    'clusters: [{name: c, cluster: {insecure-skip-tls-verify: "true"}}]',
    'insecure-skip-tls-verify',
  ],
  ['data that is not base64', user('client-key-data: c2VjcmV0c2V'), 'users[0].user.client-key-data is not base64'],
  ['a mapping for a list', 'users: {name: u}', 'users'],
  ['a word for groups', user('as-groups: c2VjcmV0'), 'as-groups'],
  ['a number in an auth-provider', user('auth-provider: {name: oidc, config: {x: 5}}'), 'config.x'],
  ['two of one name', 'users: [{name: u}, {name: u}]', '"u"'],
  ['another kind', 'kind: Secret', 'kind'],
  ['another version', 'apiVersion: v2', 'apiVersion'],
])('refuses %s, says where, and repeats nothing of it', (_, text, where) => {
  expect(() => decodeKubeconfig(text)).toThrow(where);
  expect(() => decodeKubeconfig(text)).not.toThrow('c2VjcmV0');
});
