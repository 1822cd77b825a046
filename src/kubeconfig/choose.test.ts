import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { UserError } from '../base/errors.ts';
import { createAuthority } from '../pki/issue.ts';
import { chooseContext } from './choose.ts';
import { keepTokens } from './keep-tokens.ts';
import type { Surroundings } from './surroundings.ts';

// test/api/kubeconfigs.test.ts has more than a hundred kubeconfigs beside kubectl; here is what an exit code does not tell.

let folder: string;
let ca: string;
beforeAll(async () => {
  ca = (await createAuthority('test-ca', { keyType: 'ec' })).certificate;
});
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-choose-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = (name: string) => path.join(folder, name);
const write = (name: string, content: string | object) => {
  mkdirSync(path.dirname(at(name)), { recursive: true });
  writeFileSync(at(name), typeof content === 'string' ? content : JSON.stringify(content));
  return at(name);
};
const surroundings = (env: Surroundings['env'] = {}, more: Partial<Surroundings> = {}): Surroundings => ({
  env,
  home: folder,
  terminal: false,
  ...more,
});
const data = (text: string) => Buffer.from(text).toString('base64');
const config = (user: object, cluster: object = {}, context: object = {}, top: object = {}) => ({
  'current-context': 'x',
  clusters: [{ name: 'c', cluster: { server: 'https://a:6443', 'certificate-authority-data': data(ca), ...cluster } }],
  users: [{ name: 'u', user }],
  contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', ...context } }],
  ...top,
});
const choose = (content: string | object, env: Surroundings['env'] = {}, more: Partial<Surroundings> = {}) =>
  chooseContext({ kubeconfig: write('config', content) }, surroundings(env, more));
const refusal = (content: string | object): UserError => {
  try {
    choose(content);
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return error as UserError;
  }
  throw new Error('it was taken');
};

test('a connection is a value: server, trust, credentials, impersonation, proxies, namespaces', () => {
  const user = { token: 't', as: 'bob', 'as-groups': ['g'], 'as-uid': '1', 'as-user-extra': { k: ['v'] } };
  const top = {
    contexts: [
      { name: 'x', context: { cluster: 'c', user: 'u', namespace: 'n' } },
      { name: 'y', context: { cluster: 'c', user: 'u' } },
      { name: 'z', context: { cluster: 'other', user: 'u', namespace: 'm' } },
    ],
  };
  const cluster = { 'tls-server-name': 'b', 'proxy-url': 'socks5://p:1' };
  expect(choose(config(user, cluster, {}, top), { NO_PROXY: 'q', https_proxy: 'p:3128' })).toEqual({
    connection: {
      server: 'https://a:6443/',
      tls: { authorities: [ca.trim()], authoritiesOf: 'kubeconfig', serverName: 'b' },
      credentials: { client: undefined, token: { text: 't' } },
      impersonate: { user: 'bob', uid: '1', groups: ['g'], extra: { k: ['v'] } },
      proxies: { url: 'socks5://p:1', https: 'p:3128', http: undefined, except: 'q' },
    },
    namespace: 'n',
    namespaces: ['n', 'default'],
  });
});

test('nothing counts but what is handed in', () => {
  const before = { ...process.env };
  try {
    Object.assign(process.env, {
      KUBECONFIG: '/nonexistent',
      HTTPS_PROXY: 'http://p',
      SSL_CERT_FILE: write('ca.pem', ca),
    });
    const file = write('.kube/config', config({ token: 't' }, { 'certificate-authority-data': '' }));
    const { connection } = chooseContext(
      {},
      surroundings({ SSL_CERT_FILE: '/nonexistent', SSL_CERT_DIR: '/nonexistent' }),
    );
    expect(connection).toMatchObject({
      proxies: { https: undefined },
      tls: { authorities: [], authoritiesOf: 'system' },
    });
    expect(file).toContain(folder);
  } finally {
    process.env = before;
  }
});

test('credentials are never sent over http, whoever they belong to, and a URL names none', () => {
  const http = { server: 'http://me:secret@b:80/p?q=r', 'certificate-authority-data': '' };
  const { connection } = choose(config({ token: 't', as: 'bob' }, http));
  expect(connection).toMatchObject({ server: 'http://b/p', impersonate: { user: 'bob' } });
  expect(connection.credentials).toBeUndefined();
  expect(choose(config({ token: 't' }, { server: 'https://me:p%40ss@b' })).connection).toMatchObject({
    server: 'https://b/',
    credentials: { basic: { username: 'me', password: 'p@ss' } },
  });
});

test.each([
  ['h', 'http://h/'],
  ['h:80', 'http://h/'],
  ['localhost:8080', 'http://localhost:8080/'],
  ['HTTPS://H:1/a/', 'https://h:1/a/'],
  ['https://[::1]:6443', 'https://[::1]:6443/'],
])('the server %s is %s', (server, url) => {
  expect(choose(config({ token: 't' }, { server, 'certificate-authority-data': '' })).connection.server).toBe(url);
});

test.each(['h/p', '/p', '//h', 'ftp://h', 'https://', 'a b', 'https://h:99999', 'h:1\u0007'])(
  'the server %j is none, and the file, the entry and the field are named',
  (server) => {
    const { what, anchor, kind } = refusal(config({ token: 't' }, { server }));
    expect([what.includes(at('config')), what.includes('"c"'), what.includes('server')]).toEqual([true, true, true]);
    expect({ anchor, kind }).toEqual({ anchor: 'infra-kubeconfig', kind: 'usage' });
  },
);

test('a plugin beside its kubeconfig is meant from there, and told of its cluster when it wants to be', () => {
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: './bin/p', interactiveMode: 'Never' };
  const extensions = [{ name: 'client.authentication.k8s.io/exec', extension: { a: 1 } }];
  const { connection } = choose(
    config({ exec: { ...exec, provideClusterInfo: true } }, { extensions, 'disable-compression': true }),
  );
  const { plugin } = connection.credentials!;
  expect(plugin).toMatchObject({ command: at('bin/p'), where: `user "u" of ${at('config')}` });
  expect(plugin?.cluster).toMatchObject({ server: 'https://a:6443', 'disable-compression': true, config: { a: 1 } });
  const onPath = choose(config({ exec: { ...exec, command: 'p' } })).connection.credentials!.plugin;
  expect(onPath).toMatchObject({ command: 'p', cluster: undefined });
});

test('in a pod: the service account counts only when there is no configuration at all', () => {
  const account = { serviceAccount: at('account') };
  const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
  const inPod = (more: Surroundings['env'] = {}) => chooseContext({}, surroundings({ ...env, ...more }, account));
  expect(() => inPod()).toThrow('there is no kubeconfig');
  write('account/token', 't');
  write('account/ca.crt', ca);
  write('account/namespace', 'team\n');
  expect(inPod()).toEqual({
    connection: {
      server: 'https://[fd00::1]:443',
      tls: { authorities: [ca.trim()] },
      credentials: { token: { file: at('account/token') } },
      proxies: { https: undefined, http: undefined, except: undefined },
    },
    namespace: 'team',
    namespaces: ['team'],
  });
  expect(inPod({ POD_NAMESPACE: 'other' }).namespace).toBe('other');
  expect(inPod({ KUBECONFIG: write('empty', '# nothing') }).namespace).toBe('team');
  write('.kube/config', config({ token: 't' }, {}, {}, { 'current-context': '' }));
  expect(() => inPod()).toThrow('no current-context');
});

test('system CAs: SSL_CERT_FILE and all of SSL_CERT_DIR, each once', () => {
  const env = { SSL_CERT_FILE: write('ca.pem', `words\n${ca}`), SSL_CERT_DIR: `/nonexistent:${at('cas')}` };
  write('cas/a.pem', ca);
  const { tls } = choose(config({ token: 't' }, { 'certificate-authority-data': '' }), env).connection;
  expect(tls).toEqual({ authorities: [ca.trim()], authoritiesOf: 'system', serverName: undefined });
});

test('tokens that an issuer gave are kept in the file that names the user, and nothing else changes there', async () => {
  const before = `# mine
apiVersion: v1
users:
- name: other
  user: {token: 0644}
- name: u
  user:
    auth-provider:
      name: oidc
      config: {client-id: yes, id-token: old, idp-issuer-url: "https://i"}
`;
  const file = write('config', before);
  chmodSync(file, 0o640);
  await keepTokens(file, 'u', { idToken: 'a.b.c', refreshToken: '0123' });
  const after = readFileSync(file, 'utf8');
  expect(after).toContain('token: 0644');
  expect(after).toContain('client-id: yes');
  expect(after).toContain('id-token: "a.b.c"');
  expect(after).toContain('refresh-token: "0123"');
  await expect(keepTokens(file, 'gone', { idToken: '', refreshToken: '' })).rejects.toThrow('"gone"');
});

test('tokens that cannot be kept are spoken of, and used', async () => {
  const said: string[] = [];
  const oidc = { name: 'oidc', config: { 'idp-issuer-url': 'https://i', 'client-id': 'c' } };
  const { connection } = choose(config({ 'auth-provider': oidc }), {}, { notice: (sentence) => said.push(sentence) });
  rmSync(at('config'));
  await connection.credentials!.oidc!.keep!({ idToken: 'a', refreshToken: 'b' });
  expect(said).toEqual([expect.stringContaining('user "u"')]);
});
