import { base64, type Case, Kubeconfigs, pluginScript } from './case.ts';
import { oidc } from './cases-in.ts';
import { type AccessWorld, tokens } from './world.ts';

/** Kubeconfigs that both refuse, and what k8sk8s has to name. */
export function casesRefused(world: AccessWorld): Case[] {
  const make = new Kubeconfigs(world);
  const no = (name: string, text: string, says: string[], more: Partial<Case> = {}): Case => ({
    name,
    files: { config: text, ...more.files },
    expect: 'refused',
    says: [...says, ...(more.env || more.args ? [] : ['DIR/config'])],
    ...(more.env && { env: more.env }),
    ...(more.args && { args: more.args }),
  });
  const { certificate, key } = world.alice;
  const [certificateData, keyData] = [base64(certificate), base64(key)];
  const user = (name: string, fields: object, says: string[]) => no(name, make.user(fields), ['"u"', ...says]);
  const cluster = (name: string, fields: object, says: string[]) => no(name, make.cluster(fields), ['"c"', ...says]);
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: './plugin', interactiveMode: 'Never' };
  const plugin = (name: string, script: string, says: string[], fields: object = {}) =>
    no(name, make.plugin(fields), ['"u"', ...says], { files: { plugin: script } });
  const fields: Case[] = [
    cluster('K13: the CA twice', { 'certificate-authority': 'config' }, [
      'certificate-authority-data',
      'certificate-authority',
    ]),
    cluster('a CA and insecure-skip-tls-verify', { 'insecure-skip-tls-verify': true }, [
      'insecure-skip-tls-verify',
      'certificate-authority-data',
    ]),
    no('a CA file that is missing', make.of({ cluster: { server: make.server, 'certificate-authority': 'missing' } }), [
      '"c"',
      'certificate-authority',
      'missing',
    ]),
    no(
      'a CA without a certificate',
      make.of({ cluster: { server: make.server, 'certificate-authority-data': base64('words') } }),
      ['"c"', 'certificate-authority-data'],
    ),
    user(
      'the client certificate twice',
      { 'client-certificate-data': certificateData, 'client-certificate': 'config', 'client-key-data': keyData },
      ['client-certificate-data', 'client-certificate'],
    ),
    user(
      'the client key twice',
      { 'client-certificate-data': certificateData, 'client-key': 'config', 'client-key-data': keyData },
      ['client-key-data', 'client-key'],
    ),
    user('a client certificate without a key', { 'client-certificate-data': certificateData }, [
      'client-certificate-data',
      'client-key',
    ]),
    user(
      'a client certificate that is missing',
      { token: tokens.alice, 'client-certificate': 'missing.crt', 'client-key': 'missing.key' },
      ['client-certificate', 'missing.crt'],
    ),
    user('a key of another certificate', { 'client-certificate-data': base64(world.ca), 'client-key-data': keyData }, [
      'client key',
    ]),
    user('a token and a username', { token: tokens.alice, username: 'alice' }, ['token', 'username']),
    user('a token and a password', { token: tokens.alice, password: 'secret' }, ['token', 'password']),
    user('a token with a line end', { token: `${tokens.alice}\n` }, ['token']),
    user('a tokenFile that is missing', { tokenFile: 'missing' }, ['tokenFile', 'missing']),
    no('a tokenFile that is empty', make.user({ tokenFile: 'token' }), ['"u"', 'tokenFile', 'empty'], {
      files: { token: '\n' },
    }),
    user('groups without as', { token: tokens.boss, 'as-groups': ['team-a'] }, ['as-groups', 'as']),
    user('a uid without as', { token: tokens.alice, 'as-uid': '1' }, ['as-uid']),
    user('extra without as', { token: tokens.alice, 'as-user-extra': { a: ['b'] } }, ['as-user-extra']),
    user('nobody, who would be asked for a name', {}, ['no credentials']),
    user('a password without a username', { password: 'secret' }, ['no credentials']),
    user('the auth-provider gcp', { 'auth-provider': { name: 'gcp' } }, ['gcp', 'gke-gcloud-auth-plugin']),
    user('the auth-provider azure, beside a token', { token: tokens.alice, 'auth-provider': { name: 'azure' } }, [
      'azure',
      'kubelogin',
    ]),
    user('an auth-provider that nobody knows', { 'auth-provider': { name: 'other' } }, ['other']),
    user('oidc without an issuer', oidc(world, { 'idp-issuer-url': '' }), ['idp-issuer-url']),
    user('oidc whose token has ended', oidc(world, { 'id-token': tokens.ended }), ['refresh-token']),
    user('oidc with a refresh token of the past', oidc(world, { 'refresh-token': 'stale' }), ['invalid_grant']),
    user('oidc with something else as its token', oidc(world, { 'id-token': 'words' }), ['id-token']),
    user('exec and an auth-provider', { exec, ...oidc(world, {}) }, ['exec', 'auth-provider']),
    user('exec of v1 without interactiveMode', { exec: { ...exec, interactiveMode: '' } }, [
      'interactiveMode',
      'client.authentication.k8s.io/v1',
    ]),
    user('exec with another interactiveMode', { exec: { ...exec, interactiveMode: 'Sometimes' } }, [
      'interactiveMode',
      'Sometimes',
    ]),
    user('exec without a command', { exec: { ...exec, command: '' } }, ['command']),
    user('exec without an apiVersion', { exec: { ...exec, apiVersion: '' } }, ['apiVersion']),
    user(
      'exec of v1alpha1, beside a token',
      { token: tokens.alice, exec: { ...exec, apiVersion: 'client.authentication.k8s.io/v1alpha1' } },
      ['v1alpha1'],
    ),
    user('exec with a variable without a name', { exec: { ...exec, env: [{ value: 'x' }] } }, ['env']),
  ];
  const plugins: Case[] = [
    user('a plugin that is not there', { exec: { ...exec, installHint: 'ask \u001b[1mthem\u001b[0m for it' } }, [
      'plugin',
      'ask',
      'for it',
    ]),
    user('a plugin that is not on the PATH', { exec: { ...exec, command: 'no-such-plugin' } }, ['no-such-plugin']),
    plugin('a plugin that fails', '#!/bin/sh\nexit 3\n', ['exit code 3']),
    plugin('a plugin that says nothing', '#!/bin/sh\n', ['ExecCredential']),
    plugin('a plugin of another version', pluginScript('', undefined, 'v1beta1'), ['v1beta1']),
    plugin('a plugin without a token', pluginScript('', '{}'), ['token']),
    plugin(
      'a plugin with a certificate and no key',
      pluginScript('', JSON.stringify({ clientCertificateData: certificate })),
      ['clientKeyData'],
    ),
  ];
  const text: Case[] = [
    no('broken YAML', 'clusters: [\n', ['line']),
    no('a number for a token', make.user({ token: 12345 }), ['token', 'string']),
    no('a word that is yes for a namespace', make.of({}).replace('"team"', 'yes'), ['namespace']),
    no(
      'data that is not base64, of another user',
      make.of({
        top: {
          users: [
            { name: 'u', user: { token: tokens.alice } },
            { name: 'v', user: { 'client-key-data': '%%' } },
          ],
        },
      }),
      ['client-key-data', 'base64'],
    ),
    no(
      'two clusters of one name',
      make.of({ top: { clusters: ['a', 'b'].map(() => ({ name: 'c', cluster: { server: make.server } })) } }),
      ['"c"'],
    ),
    no('another kind', make.of({ top: { kind: 'Secret' } }), ['kind']),
    no('another apiVersion', make.of({ top: { apiVersion: 'v2' } }), ['apiVersion']),
    {
      name: 'bytes that are no text',
      files: { config: Buffer.from([0xff, 0xfe, 0xfd]) },
      expect: 'refused',
      says: ['DIR/config'],
    },
    no('a second file that is broken', make.of({}), ['DIR/second'], {
      files: { second: '- a' },
      env: { KUBECONFIG: 'DIR/config:DIR/second' },
    }),
    no('no current-context', make.of({ top: { 'current-context': '' } }), ['current-context', 'x']),
    no('a current-context that is not there', make.of({ top: { 'current-context': 'gone' } }), ['"gone"', 'x']),
    no('a --context that is not there', make.of({}), ['"gone"'], { args: ['--context', 'gone'] }),
    no('a --kubeconfig that is missing', make.of({}), ['DIR/missing'], { args: ['--kubeconfig', 'DIR/missing'] }),
    no('a folder as kubeconfig', make.of({}), ['DIR', 'directory'], { env: { KUBECONFIG: 'DIR' } }),
    no('an empty kubeconfig', '', ['empty']),
    no('a context without a cluster', make.of({ context: { cluster: '' } }), ['"x"', 'cluster']),
    no('a context whose cluster is not there', make.of({ context: { cluster: 'gone' } }), ['"x"', '"gone"']),
    no('a user who is not there, by https', make.of({ context: { user: 'gone' } }), ['"gone"']),
    cluster('a cluster without a server', { server: '' }, ['server']),
  ];
  const ways: Case[] = [
    cluster('a server of another scheme', { server: 'ftp://127.0.0.1' }, ['server', 'ftp']),
    cluster('a server with a path and no scheme', { server: `127.0.0.1:${world.port}/x` }, ['server']),
    cluster('a server with words in it', { server: '127.0.0.1:6443 or so' }, ['server']),
    cluster('a proxy-url of another scheme', { 'proxy-url': 'ftp://127.0.0.1' }, ['proxy-url']),
    cluster('a proxy-url without a scheme', { 'proxy-url': `127.0.0.1:${world.proxy.port}` }, ['proxy-url']),
    no(
      'a proxy that wants a password',
      make.cluster({ 'proxy-url': `http://127.0.0.1:${world.proxyWithPassword.port}` }),
      ['proxy', 'password'],
      { env: {} },
    ),
    no(
      'a socks5 proxy that wants another password',
      make.cluster({ 'proxy-url': `socks5://me:x@127.0.0.1:${world.socksWithPassword.port}` }),
      ['proxy'],
      { env: {} },
    ),
    no(
      'a proxy by TLS that the CA did not sign',
      make.of({
        cluster: {
          server: make.server,
          'certificate-authority-data': base64(world.byIntermediate.intermediate),
          'proxy-url': `https://127.0.0.1:${world.proxyByTls.port}`,
        },
      }),
      [],
      { env: {} },
    ),
    no(
      'NO_PROXY, and a server that only the proxy reaches',
      make.cluster({ server: 'https://infra.invalid' }),
      ['infra.invalid'],
      { env: { HTTPS_PROXY: `http://127.0.0.1:${world.proxy.port}`, NO_PROXY: 'x.y,.invalid' } },
    ),
    no('HTTP_PROXY alone, for an https server', make.cluster({ server: 'https://infra.invalid' }), ['infra.invalid'], {
      env: { HTTP_PROXY: `http://127.0.0.1:${world.proxy.port}` },
    }),
    no(
      'another CA',
      make.of({
        cluster: { server: make.server, 'certificate-authority-data': base64(world.byIntermediate.intermediate) },
      }),
      ['kubeconfig does not trust'],
      { env: {} },
    ),
    no(
      'K7: no CA in the file, and another one in the store',
      make.of({ cluster: { server: make.server } }),
      ['CA store'],
      { env: {} },
    ),
    no('another tls-server-name', make.cluster({ 'tls-server-name': 'other.example.com' }), ['other.example.com'], {
      env: {},
    }),
    user('a token that nobody knows', { token: 'wrong' }, []),
    user('a user without rights', { token: tokens.nobody }, []),
    user('K11: as without the group that has the rights', { token: tokens.boss, as: 'bob' }, []),
    user('as somebody, without the right to', { token: tokens.alice, as: 'boss' }, []),
  ].map((each) => (each.says?.length === 2 && each.says[0] === '"u"' ? { ...each, says: undefined } : each));
  return [...fields, ...plugins, ...text, ...ways];
}

/** Where k8sk8s is meant to do better than kubectl, or to refuse what kubectl guesses. */
export function casesBetter(world: AccessWorld): Case[] {
  const make = new Kubeconfigs(world);
  const plainMaster = { KUBERNETES_MASTER: `http://127.0.0.1:${world.plain.port}` };
  return [
    {
      name: 'a plugin whose first token is refused',
      files: {
        config: make.plugin(),
        plugin: `#!/bin/sh\ntoken=stale\n[ -e "$HOME/asked" ] && token=alice-token\ntouch "$HOME/asked"\n${pluginScript('', '{"token":"$token"}').replace('#!/bin/sh\n', '')}`,
      },
      better: { why: 'the request is sent once more with the new token', kubectl: 'either', k8sk8s: 'in' },
    },
    {
      name: 'KUBERNETES_MASTER, and no kubeconfig',
      files: {},
      env: { KUBECONFIG: 'DIR/missing', ...plainMaster },
      better: { why: 'a cluster that no file names is not guessed', kubectl: 'in', k8sk8s: 'refused' },
      says: ['DIR/missing', 'KUBERNETES_MASTER'],
    },
    {
      name: 'KUBERNETES_MASTER, and a context without a cluster',
      files: { config: make.of({ context: { cluster: '' } }) },
      env: plainMaster,
      better: { why: 'a cluster that no file names is not guessed', kubectl: 'in', k8sk8s: 'refused' },
      says: ['"x"', 'cluster'],
    },
    {
      name: 'in a pod, with a kubeconfig that has no current-context',
      files: {
        token: tokens.alice,
        'ca.crt': world.ca,
        namespace: 'team',
        config: make.of({ top: { 'current-context': '' } }),
      },
      env: { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(world.port) },
      inPod: true,
      better: { why: 'another cluster than the file names is not guessed', kubectl: 'in', k8sk8s: 'refused' },
      says: ['current-context'],
    },
  ];
}
