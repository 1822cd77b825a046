import { beforeAll, describe, expect, it } from 'vitest';
import { refused } from '../../test/refused.ts';
import type { UserError } from '../base/errors.ts';
import { fingerprint } from '../pki/inspect.ts';
import { type Credential, createAuthority, issueLeaf } from '../pki/issue.ts';
import { explained } from '../ui/words.ts';
import { buildKubeconfig } from './build.ts';
import { readKubeconfig } from './read.ts';

let authority: Credential;
let client: Credential;
beforeAll(async () => {
  authority = await createAuthority('the plane');
  client = await issueLeaf(authority, { commonName: 'admin', usages: ['clientAuth'] });
});

describe('readKubeconfig', () => {
  it('reads what buildKubeconfig writes', () => {
    const text = buildKubeconfig({
      server: 'https://a:443',
      certificateAuthority: authority.certificate,
      clusterName: 'a',
      userName: 'admin',
      client,
      namespace: 'work',
    });
    expect(readKubeconfig(text, 'it')).toMatchObject({
      currentContext: 'a',
      clusterName: 'a',
      userName: 'admin',
      namespace: 'work',
      server: 'https://a:443',
      certificateAuthority: authority.certificate,
      fingerprint: fingerprint(authority.certificate),
      clientCertificate: client.certificate,
      users: ['admin'],
    });
  });

  it.each(['', '\n', '# only words\n', 'null', '{}', 'clusters: null\nusers:\n'])(
    'takes %j for an empty one',
    (text) => {
      expect(readKubeconfig(text, 'it')).toMatchObject({ clusters: [], contexts: [], users: [], server: undefined });
    },
  );

  it('has no server without a current context', () => {
    const text =
      'clusters: [{name: a, cluster: {server: "https://a", certificate-authority: ca.pem}}]\ncontexts: [{name: x, context: {cluster: a, user: u}}]\n';
    expect(readKubeconfig(text, 'it')).toMatchObject({
      server: undefined,
      clusters: [{ name: 'a', server: 'https://a', fingerprint: undefined }],
      contexts: [{ name: 'x', cluster: 'a', user: 'u' }],
    });
  });

  it.each([
    ['broken YAML', 'a: [1\nclient-key-data: c2VjcmV0'],
    ['a key twice', 'token: c2VjcmV0\ntoken: c2VjcmV0'],
    ['a tab', 'users:\n\t- c2VjcmV0'],
    ['a list', '- c2VjcmV0'],
    ['a word', 'c2VjcmV0'],
    ['several documents', 'token: c2VjcmV0\n---\ntoken: c2VjcmV0\n'],
    ['another kind', 'kind: Secret\ndata: c2VjcmV0'],
    ['clusters that are no list', 'clusters: {c2VjcmV0: 1}'],
    ['a user without a name', 'users: [{user: {token: c2VjcmV0}}]'],
  ])('refuses %s, and repeats nothing of it', (_, text) => {
    try {
      readKubeconfig(text, '/home/me/config');
      expect.fail('it was read');
    } catch (error) {
      expect(error).toEqual(refused('not-a-kubeconfig', '/home/me/config'));
      expect(explained(error as UserError)).not.toContain('c2VjcmV0');
    }
  });

  it('says in which line YAML is broken', () => {
    expect(() => readKubeconfig('apiVersion: v1\nclusters: []\nclusters: []\n', 'it')).toThrow(
      refused('not-a-kubeconfig', 'line 3'),
    );
  });
});
