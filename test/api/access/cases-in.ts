import { base64, type Case, Kubeconfigs, pluginScript } from './case.ts';
import { type AccessWorld, tokens } from './world.ts';

/** Kubeconfigs by which both get in. */
export function casesIn(world: AccessWorld): Case[] {
  const make = new Kubeconfigs(world);
  const good = make.user({ token: tokens.alice });
  const bad = make.user({ token: 'wrong' });
  const config = (text: string) => ({ files: { config: text }, expect: 'in' as const });
  const twoFiles = (first: string, second: string | Buffer, env = 'DIR/config:DIR/second') => ({
    files: { config: first, second },
    env: { KUBECONFIG: env },
    expect: 'in' as const,
  });
  const { certificate, key } = world.alice;
  const certificateData = { 'client-certificate-data': base64(certificate), 'client-key-data': base64(key) };
  const merging: Case[] = [
    { name: 'a token', ...config(good) },
    { name: 'K1: of two files with the same names the first wins', ...twoFiles(good, bad) },
    { name: 'K1: the first current-context wins', ...twoFiles(good, make.of({ top: { 'current-context': 'y' } })) },
    {
      name: 'K2: another context without a cluster',
      ...config(
        make.of({
          top: {
            contexts: [
              { name: 'old', context: { namespace: 'x' } },
              { name: 'x', context: { cluster: 'c', user: 'u' } },
            ],
          },
        }),
      ),
    },
    { name: 'K3: a second file of 0 bytes', ...twoFiles(good, '') },
    { name: 'K3: a second file of comments alone', ...twoFiles(good, '# nothing\n\n# here\n') },
    {
      name: 'K3: a first file without current-context',
      ...twoFiles(make.of({ top: { 'current-context': '' } }), good),
    },
    { name: 'a second file that is missing', ...twoFiles(good, '', 'DIR/config:DIR/missing') },
    { name: 'empty and double elements of KUBECONFIG', ...twoFiles(good, bad, '::DIR/config::DIR/config:') },
    {
      name: 'a context of one file, its cluster and user of others',
      files: {
        one: JSON.stringify({
          contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
          'current-context': 'x',
        }),
        two: JSON.stringify({ clusters: [{ name: 'c', cluster: { server: make.server, ...make.ca } }] }),
        three: JSON.stringify({ users: [{ name: 'u', user: { token: tokens.alice } }] }),
      },
      env: { KUBECONFIG: 'DIR/one:DIR/two:DIR/three' },
      expect: 'in',
    },
    {
      name: 'another user and another cluster that cannot be used',
      ...config(
        make.of({
          top: {
            users: [
              { name: 'u', user: { token: tokens.alice } },
              { name: 'other', user: { token: 'x', username: 'y', 'client-certificate': 'missing' } },
            ],
            clusters: [
              { name: 'c', cluster: { server: make.server, ...make.ca } },
              { name: 'other', cluster: { 'certificate-authority': 'missing' } },
            ],
          },
        }),
      ),
    },
    { name: '--context', ...config(make.of({ top: { 'current-context': 'gone' } })), args: ['--context', 'x'] },
    { name: '--kubeconfig before KUBECONFIG', ...twoFiles(bad, good), args: ['--kubeconfig', 'DIR/second'] },
    { name: 'a kubeconfig that comes through a pipe', ...config(good), throughPipe: true },
    { name: 'an empty --kubeconfig', ...config(good), args: ['--kubeconfig', ''] },
    { name: 'the default file', files: { '.kube/config': good }, env: { KUBECONFIG: '' }, expect: 'in' },
    {
      name: 'the default file by its old name',
      files: { '.kube/.kubeconfig': good },
      env: { KUBECONFIG: '' },
      expect: 'in',
    },
  ];
  const yaml: Case[] = [
    {
      name: 'anchors and merge keys',
      ...config(`x: &c\n  certificate-authority-data: ${base64(world.ca)}\n${yamlOf(make, '<<: *c')}`),
    },
    {
      name: 'a key given twice',
      ...config(`${yamlOf(make, `certificate-authority-data: ${base64(world.ca)}`)}current-context: x\n`),
    },
    { name: 'a second document', ...config(`${good}\n---\n${bad}`) },
    { name: 'JSON with tabs', ...config(JSON.stringify(JSON.parse(good), undefined, '\t')) },
    {
      name: 'a byte order mark and carriage returns',
      ...config(`\uFEFF${yamlOf(make, `certificate-authority-data: ${base64(world.ca)}`).replaceAll('\n', '\r\n')}`),
    },
    { name: 'fields that nobody knows', ...config(make.of({ top: { preferences: {}, extensions: [], other: 5 } })) },
    {
      name: 'fields that are null',
      ...config(make.user({ token: tokens.alice, exec: null, 'as-groups': null, username: null })),
    },
  ];
  const users: Case[] = [
    { name: 'a client certificate', ...config(make.user(certificateData)) },
    {
      name: 'files beside the kubeconfig',
      files: {
        'sub/config': make.of({
          cluster: { server: make.server, 'certificate-authority': 'pki/ca.crt' },
          user: { 'client-certificate': 'pki/both.pem', 'client-key': './pki/both.pem' },
        }),
        'sub/pki/ca.crt': `Some words before.\n${world.ca}`,
        'sub/pki/both.pem': key + certificate,
      },
      env: { KUBECONFIG: 'sub/config' },
      expect: 'in',
    },
    {
      name: 'a key without a certificate, which counts for nothing',
      ...config(make.user({ token: tokens.alice, 'client-key': 'missing' })),
    },
    {
      name: 'K4: a tokenFile with a line end',
      files: { config: make.user({ tokenFile: 'token' }), token: `${tokens.alice}\n` },
      expect: 'in',
    },
    {
      name: 'a tokenFile beats the token',
      files: { config: make.user({ token: 'wrong', tokenFile: 'token' }), token: tokens.alice },
      expect: 'in',
    },
    {
      name: 'a token counts where its tokenFile is missing',
      ...config(make.user({ token: tokens.alice, tokenFile: 'missing' })),
    },
    {
      name: 'a token counts where its tokenFile is empty',
      files: { config: make.user({ token: tokens.alice, tokenFile: 'token' }), token: ' \n' },
      expect: 'in',
    },
    {
      name: 'a username and a password',
      ...config(
        make.of({
          cluster: { server: `https://127.0.0.1:${world.byPassword.port}`, ...make.ca },
          user: { username: 'alice', password: 'secret' },
        }),
      ),
    },
    {
      name: 'K11: as with the group that has the rights',
      ...config(make.user({ token: tokens.boss, as: 'bob', 'as-groups': ['team-b', 'team-a'] })),
    },
    {
      name: 'as with uid and extra',
      ...config(make.user({ token: tokens.boss, as: 'alice', 'as-uid': '1', 'as-user-extra': { reason: ['a', 'b'] } })),
    },
    {
      name: 'K16: oidc with an ID token that is good',
      ...config(make.user(oidc(world, { 'id-token': tokens.idToken }))),
    },
    {
      name: 'K16: oidc with a refresh token',
      ...config(make.user(oidc(world, { 'id-token': tokens.ended, 'refresh-token': 'fresh' }))),
    },
    {
      name: 'a token beside oidc',
      ...config(make.user({ token: tokens.alice, ...oidc(world, { 'id-token': 'a.b.c' }) })),
    },
  ];
  const plugin = (name: string, text: string, script: string, more: object = {}): Case => ({
    name,
    files: { config: text, plugin: script },
    expect: 'in',
    ...more,
  });
  const certificateStatus = JSON.stringify({ clientCertificateData: certificate, clientKeyData: key });
  const plugins: Case[] = [
    plugin('a plugin beside the kubeconfig', make.plugin(), pluginScript('')),
    plugin(
      'a plugin of v1beta1 without interactiveMode',
      make.plugin({ apiVersion: 'client.authentication.k8s.io/v1beta1', interactiveMode: '' }),
      pluginScript('', undefined, 'v1beta1'),
    ),
    plugin('a plugin on the PATH', make.plugin({ command: 'plugin' }), pluginScript(''), { env: { PATH: 'DIR:PATH' } }),
    plugin(
      'a plugin with args and env',
      make.plugin({ args: ['a b', 'c'], env: [{ name: 'WHO', value: 'me' }] }),
      pluginScript('[ "$1-$2-$WHO" = "a b-c-me" ] || exit 1'),
    ),
    plugin(
      'K5: a plugin that reads, IfAvailable',
      make.plugin({ interactiveMode: 'IfAvailable' }),
      pluginScript('if read line; then [ -t 0 ] || exit 1; fi'),
    ),
    plugin('K5: a plugin that reads, Never', make.plugin(), pluginScript('if read line; then exit 1; fi')),
    plugin(
      'K6: KUBERNETES_EXEC_INFO is always there',
      make.plugin(),
      pluginScript(
        `[ "$KUBERNETES_EXEC_INFO" = '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":false}}
' ] || exit 1`,
      ),
    ),
    plugin(
      'K6: provideClusterInfo, with the exec extension',
      make.plugin(
        { provideClusterInfo: true },
        { extensions: [{ name: 'client.authentication.k8s.io/exec', extension: { audience: 'us' } }] },
      ),
      pluginScript(
        `for part in '"server":"${make.server}"' '"audience":"us"' '"certificate-authority-data":"'; do case "$KUBERNETES_EXEC_INFO" in *$part*) ;; *) exit 1 ;; esac; done`,
      ),
    ),
    plugin('a plugin that gives a client certificate', make.plugin(), pluginScript('', certificateStatus)),
    plugin(
      'a plugin that answers in YAML',
      make.plugin(),
      '#!/bin/sh\nprintf "apiVersion: client.authentication.k8s.io/v1\\nkind: ExecCredential\\nstatus:\\n  token: alice-token\\n"\n',
    ),
    plugin(
      'a plugin whose token has ended already',
      make.plugin(),
      pluginScript('', '{"token":"alice-token","expirationTimestamp":"2020-01-01T00:00:00Z"}'),
    ),
    plugin(
      'a plugin that is not run, since there is a token',
      make.of({
        user: {
          token: tokens.alice,
          exec: { apiVersion: 'client.authentication.k8s.io/v1', command: './plugin', interactiveMode: 'Always' },
        },
      }),
      pluginScript('exit 1'),
    ),
    plugin(
      'Always, at a terminal alone',
      make.plugin({ interactiveMode: 'Always' }),
      pluginScript('read line && [ "$line" = hello ] || exit 1'),
      { expect: 'at a terminal' },
    ),
  ];
  return [...merging, ...yaml, ...users, ...plugins];
}

/** The same in block style, with one line of the cluster to choose. */
function yamlOf(make: Kubeconfigs, clusterLine: string): string {
  return `apiVersion: v1
kind: Config
current-context: "x"
clusters:
- name: c
  cluster:
    server: ${make.server}
    ${clusterLine}
users:
- {name: u, user: {token: ${tokens.alice}}}
contexts:
- name: x
  context: {cluster: c, user: u, namespace: team}
`;
}

export function oidc(world: AccessWorld, fields: object): object {
  const config = {
    'idp-issuer-url': `https://127.0.0.1:${world.issuer.port}`,
    'client-id': 'test',
    'client-secret': 'x',
    'idp-certificate-authority-data': base64(world.ca),
    ...fields,
  };
  return { 'auth-provider': { name: 'oidc', config } };
}
