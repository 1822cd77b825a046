import { base64, type Case, Kubeconfigs, pluginScript } from './case.ts';
import { type AccessWorld, tokens } from './world.ts';

/** Kubeconfigs and environments that lead to the server in other ways: proxies, other CAs, http, pods. */
export function casesWay(world: AccessWorld): Case[] {
  const make = new Kubeconfigs(world);
  const far = { server: 'https://infra.invalid:6443', 'tls-server-name': 'localhost' };
  const config = (text: string) => ({ files: { config: text }, expect: 'in' as const });
  const by = (listening: { port: number }, scheme = 'http', user = '') =>
    `${scheme}://${user}127.0.0.1:${listening.port}`;
  const dead = 'http://127.0.0.1:1';
  // It leads to this box and is no loopback address.
  const here = make.cluster({ server: `https://0.0.0.0:${world.port}`, 'tls-server-name': 'localhost' });
  const proxies: Case[] = [
    {
      name: 'K8: HTTPS_PROXY and tls-server-name',
      ...config(make.cluster(far)),
      env: { HTTPS_PROXY: by(world.proxy) },
    },
    {
      name: 'https_proxy, with an empty HTTPS_PROXY, without a scheme',
      ...config(make.cluster(far)),
      env: { HTTPS_PROXY: '', https_proxy: `127.0.0.1:${world.proxy.port}` },
    },
    { name: 'HTTPS_PROXY of socks5', ...config(make.cluster(far)), env: { HTTPS_PROXY: by(world.socks, 'socks5') } },
    { name: 'K9: proxy-url', ...config(make.cluster({ ...far, 'proxy-url': by(world.proxy) })) },
    {
      name: 'proxy-url with a user and a password',
      ...config(make.cluster({ ...far, 'proxy-url': by(world.proxyWithPassword, 'http', 'me:p%40ss@') })),
    },
    { name: 'proxy-url by TLS', ...config(make.cluster({ ...far, 'proxy-url': by(world.proxyByTls, 'https') })) },
    { name: 'proxy-url of socks5', ...config(make.cluster({ ...far, 'proxy-url': by(world.socks, 'socks5') })) },
    {
      name: 'proxy-url of socks5 with a user and a password',
      ...config(make.cluster({ ...far, 'proxy-url': by(world.socksWithPassword, 'socks5', 'me:p%40ss@') })),
    },
    {
      name: 'proxy-url beats the environment',
      ...config(make.cluster({ ...far, 'proxy-url': by(world.proxy) })),
      env: { HTTPS_PROXY: dead },
    },
    {
      name: 'proxy-url beats NO_PROXY',
      ...config(make.cluster({ ...far, 'proxy-url': by(world.proxy) })),
      env: { NO_PROXY: '*' },
    },
    { name: 'proxy-url counts for loopback', ...config(make.cluster({ 'proxy-url': by(world.proxy) })) },
    { name: 'K14: loopback is not proxied', ...config(make.cluster({})), env: { HTTPS_PROXY: dead } },
    {
      name: 'localhost is not proxied',
      ...config(make.cluster({ server: `https://localhost:${world.port}` })),
      env: { HTTPS_PROXY: dead },
    },
    {
      name: 'NO_PROXY with a network',
      ...config(here),
      env: { HTTPS_PROXY: dead, NO_PROXY: 'example.com, 0.0.0.0/8' },
    },
    {
      name: 'NO_PROXY with an address and a port',
      ...config(here),
      env: { HTTPS_PROXY: dead, no_proxy: `0.0.0.0:${world.port}` },
    },
    {
      name: 'NO_PROXY of another domain',
      ...config(make.cluster(far)),
      env: { HTTPS_PROXY: by(world.proxy), NO_PROXY: '.other.invalid,nfra.invalid,infra.invalid:443' },
    },
    { name: 'ALL_PROXY is not read', ...config(here), env: { ALL_PROXY: dead, all_proxy: dead } },
    {
      name: 'HTTP_PROXY for an http server',
      ...config(make.of({ cluster: { server: 'http://infra.invalid:8001' } })),
      env: { HTTP_PROXY: by(world.proxy) },
    },
    {
      name: 'a plugin and its client certificate through a proxy',
      files: {
        config: make.plugin({}, { ...far, 'proxy-url': by(world.proxy) }),
        plugin: pluginScript(
          '',
          JSON.stringify({ clientCertificateData: world.alice.certificate, clientKeyData: world.alice.key }),
        ),
      },
      expect: 'in',
    },
  ];
  const trust = (ca: object, port = world.port) => make.of({ cluster: { server: `https://127.0.0.1:${port}`, ...ca } });
  const authorities: Case[] = [
    {
      name: 'K7: the CA is in SSL_CERT_FILE',
      files: { config: trust({}), 'ca.pem': world.ca },
      env: { SSL_CERT_FILE: 'DIR/ca.pem' },
      expect: 'in',
    },
    {
      name: 'K7: the CA is in SSL_CERT_DIR',
      files: { config: trust({}), 'cas/ca.pem': world.ca },
      env: { SSL_CERT_FILE: '/nonexistent', SSL_CERT_DIR: '/nonexistent:DIR/cas' },
      expect: 'in',
    },
    {
      name: 'K17: the CA is the intermediate alone',
      ...config(
        trust({ 'certificate-authority-data': base64(world.byIntermediate.intermediate) }, world.byIntermediate.port),
      ),
    },
    {
      name: "the CA is the server's own certificate",
      ...config(trust({ 'certificate-authority-data': base64(world.byIntermediate.leaf) }, world.byIntermediate.port)),
    },
    {
      name: 'of several CAs one is right, and one cannot be read',
      ...config(
        trust({
          'certificate-authority-data': base64(
            `-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n${world.byIntermediate.leaf}${world.ca}`,
          ),
        }),
      ),
    },
    { name: 'insecure-skip-tls-verify', ...config(trust({ 'insecure-skip-tls-verify': true })) },
    { name: 'disable-compression', ...config(make.cluster({ 'disable-compression': true })) },
    {
      name: 'a scheme in upper case, and a slash at the end',
      ...config(make.cluster({ server: `HTTPS://127.0.0.1:${world.port}/` })),
    },
  ];
  const plain = `127.0.0.1:${world.plain.port}`;
  const noUser = { contexts: [{ name: 'x', context: { cluster: 'c', namespace: 'team' } }] };
  const http: Case[] = [
    {
      name: 'K10: kubectl proxy, and no user',
      ...config(make.of({ cluster: { server: `http://${plain}` }, top: noUser })),
    },
    {
      name: 'http, and a user who is not there',
      ...config(make.of({ cluster: { server: `http://${plain}` }, top: { users: [] } })),
    },
    {
      name: 'K15: http, and a token that is not sent',
      ...config(make.of({ cluster: { server: `http://localhost:${world.plain.port}` }, user: { token: 'wrong' } })),
    },
    {
      name: 'http, and a plugin that is not run',
      files: {
        config: make.plugin({}, { server: `http://${plain}`, 'certificate-authority-data': '' }),
        plugin: pluginScript('exit 1'),
      },
      expect: 'in',
    },
    { name: 'a server without a scheme', ...config(make.of({ cluster: { server: plain } })) },
    {
      name: 'a server with a path',
      ...config(make.of({ cluster: { server: `http://127.0.0.1:${world.plain.prefixed}/k8s/?x=y` } })),
    },
  ];
  const pod = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(world.port), KUBECONFIG: '' };
  const account = { token: `${tokens.alice}\n`, 'ca.crt': world.ca, namespace: 'team' };
  const pods: Case[] = [
    { name: 'K12: in a pod, without a kubeconfig', files: account, env: pod, inPod: true, expect: 'in' },
    {
      name: 'in a pod, with an empty kubeconfig',
      files: { ...account, config: '# nothing\n' },
      env: { ...pod, KUBECONFIG: 'DIR/config' },
      inPod: true,
      expect: 'in',
    },
    {
      name: 'in a pod, the kubeconfig counts',
      files: { ...account, token: 'wrong', config: make.of({}) },
      env: { ...pod, KUBECONFIG: 'DIR/config' },
      inPod: true,
      expect: 'in',
    },
    {
      name: 'in a pod whose token is not known',
      files: { ...account, token: 'wrong' },
      env: pod,
      inPod: true,
      expect: 'refused',
    },
  ];
  return [...proxies, ...authorities, ...http, ...pods];
}
