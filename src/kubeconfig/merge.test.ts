import { load } from 'js-yaml';
import { beforeAll, describe, expect, it } from 'vitest';
import { refused } from '../../test/refused.ts';
import type { UserError } from '../base/errors.ts';
import { type Credential, createAuthority } from '../pki/issue.ts';
import { explained } from '../ui/words.ts';
import { buildKubeconfig } from './build.ts';
import { type MergeOptions, mergeKubeconfig } from './merge.ts';
import { readKubeconfig } from './read.ts';

let authority: Credential;
let other: Credential;
beforeAll(async () => {
  [authority, other] = await Promise.all([createAuthority('the plane'), createAuthority('another plane')]);
});

const ours = (changes: { server?: string; by?: Credential; token?: string } = {}) =>
  buildKubeconfig({
    server: changes.server ?? 'https://plane:443',
    certificateAuthority: (changes.by ?? authority).certificate,
    clusterName: 'plane',
    userName: 'plane-admin',
    client: { token: changes.token ?? 'yes' },
  });
const merge = (existing: string, text = ours(), options?: MergeOptions) =>
  mergeKubeconfig(existing, text, '~/.kube/config', options);

const existing = `# a comment
apiVersion: v1
kind: Config
preferences: {colors: true}
x-unknown: 0644
clusters:
- cluster:
    server: https://work.example.com
    certificate-authority: /etc/work.pem
    extensions:
    - {extension: {last-update: 2026-01-01T00:00:00Z, serial: 12345678901234567890}, name: minikube}
  name: work
users:
- name: me
  user:
    exec: {command: get-token, env: [{name: MODE, value: '0644'}, {name: ON, value: "yes"}], interactiveMode: Never}
    unknown-field: 1_000
contexts:
- context: {cluster: work, user: me, namespace: here}
  name: work
current-context: work
`;

describe('mergeKubeconfig', () => {
  it('keeps everything that was there, as it was written', () => {
    const merged = merge(existing);
    for (const line of existing.split('\n').slice(1)) expect(merged).toContain(line);
    expect(readKubeconfig(merged, 'it')).toMatchObject({
      currentContext: 'work',
      server: 'https://work.example.com',
      clusters: [{ name: 'work' }, { name: 'plane', server: 'https://plane:443' }],
      users: ['me', 'plane-admin'],
      contexts: [
        { name: 'work', namespace: 'here' },
        { name: 'plane', cluster: 'plane', user: 'plane-admin' },
      ],
    });
  });

  it('keeps the token a string', () => {
    expect(readKubeconfig(merge(existing, ours(), { setCurrentContext: true }), 'it').token).toBe('yes');
    expect(merge(existing)).toContain("token: 'yes'");
  });

  it('makes the context current only when asked', () => {
    expect(readKubeconfig(merge(existing, ours(), { setCurrentContext: true }), 'it')).toMatchObject({
      currentContext: 'plane',
      server: 'https://plane:443',
    });
    expect(readKubeconfig(merge(''), 'it').currentContext).toBeUndefined();
  });

  it('gives the same text when merged twice', () => {
    for (const options of [{}, { setCurrentContext: true }]) {
      const once = merge(existing, ours(), options);
      expect(merge(once, ours(), options)).toBe(once);
    }
  });

  it('replaces our entries where they stand', () => {
    const before = merge(
      existing.replace(
        'clusters:\n',
        `clusters:\n- name: plane\n  cluster: {server: "https://old:443", certificate-authority-data: ${Buffer.from(authority.certificate).toString('base64')}}\n`,
      ),
    );
    const merged = readKubeconfig(merge(before, ours({ server: 'https://new:443', token: 'another' })), 'it');
    expect(merged.clusters).toMatchObject([{ name: 'plane', server: 'https://new:443' }, { name: 'work' }]);
    expect(merged.users).toEqual(['me', 'plane-admin']);
    expect(merged.contexts).toHaveLength(2);
  });

  it.each([
    '',
    '# nothing yet\n',
    'apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers: null\npreferences: {}\ncurrent-context: ""\n',
  ])('starts from %j', (empty) => {
    const merged = merge(empty, ours(), { setCurrentContext: true });
    expect(load(merged)).toMatchObject(load(ours()) as object);
  });

  it('merges into JSON, which is YAML too', () => {
    const json = JSON.stringify(load(existing));
    expect(load(merge(json, ours()))).toMatchObject({
      preferences: { colors: true },
      'current-context': 'work',
      clusters: [{ name: 'work' }, { name: 'plane' }],
    });
  });

  const foreign = (text: string) => {
    try {
      merge(text);
    } catch (error) {
      return error as UserError;
    }
    return expect.fail('it was merged');
  };

  it('refuses to replace a cluster of the same name with another CA, and names both', () => {
    const error = foreign(merge('', ours({ server: 'https://theirs:6443', by: other })));
    expect(error).toEqual(refused('file-of-another-cluster', 'https://theirs:6443', 'https://plane:443'));
    expect(error.kind).toBe('refused');
  });

  it('refuses to replace a user or a context that leads to another cluster', () => {
    expect(
      foreign(
        'users: [{name: plane-admin, user: {token: s3cr3t}}]\ncontexts: [{name: x, context: {cluster: work, user: plane-admin}}]\n',
      ),
    ).toEqual(refused('file-of-another-cluster', 'user "plane-admin"'));
    const error = foreign('contexts: [{name: plane, context: {cluster: work, user: me}}]\n');
    expect(error).toEqual(refused('file-of-another-cluster', 'context "plane"'));
    expect(explained(error)).not.toContain('s3cr3t');
  });

  it('replaces them when forced', () => {
    const merged = merge(merge('', ours({ server: 'https://theirs:6443', by: other })), ours(), { force: true });
    expect(readKubeconfig(merged, 'it').clusters).toMatchObject([{ name: 'plane', server: 'https://plane:443' }]);
  });

  it('refuses a file whose anchors it would tear apart', () => {
    const anchored = merge(existing)
      .replace('- name: plane-admin\n', '- &u\n  name: plane-admin\n')
      .concat('spare: *u\n');
    expect(load(anchored)).toHaveProperty('spare.name', 'plane-admin');
    expect(() => merge(anchored)).toThrow(refused('not-a-kubeconfig', '~/.kube/config'));
  });

  it('refuses what is not a kubeconfig', () =>
    expect(() => merge('- a\n')).toThrow(refused('not-a-kubeconfig', '~/.kube/config')));
});
