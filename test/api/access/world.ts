import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { KubeObject } from '../../../src/kube/objects.ts';
import { issueLeaf } from '../../../src/pki/issue.ts';
import { ensureBinaries } from '../../../src/sandbox/artifacts/ensure.ts';
import { terminalReporter } from '../../../src/ui/terminal.ts';
import { connectByFile } from '../../connect-by-file.ts';
import { type ControlPlane, startControlPlane } from '../control-plane.ts';
import { bind, untilAllowed } from '../rights.ts';
import { type Listening, startProxy, startServer, startSocks } from './proxies.ts';

/** An API server, and every way to it that a kubeconfig can name: all of it listens on loopback. */
export interface AccessWorld {
  plane: ControlPlane;
  kubectl: string;
  /** Of the API server. */
  port: number;
  /** PEM. */
  ca: string;
  /** Alice's client certificate. */
  alice: { certificate: string; key: string };
  proxy: Listening;
  proxyWithPassword: Listening;
  proxyByTls: Listening;
  socks: Listening;
  socksWithPassword: Listening;
  /** `kubectl proxy`, as Alice, with the prefix /k8s/ as well. */
  plain: { port: number; prefixed: number };
  /** Takes alice:secret, and nothing else. */
  byPassword: Listening;
  /** Shows a certificate that `intermediate` signed, and not the intermediate. */
  byIntermediate: Listening & { intermediate: string; leaf: string };
  /** Gives an ID token for the refresh token `fresh`. */
  issuer: Listening;
  stop(): Promise<void>;
}

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const idToken = (exp: number) => `${part({ alg: 'none' })}.${part({ exp, aud: 'test' })}.c2ln`;
/** Tokens that the API server knows, all of them Alice's but for the last two. */
export const tokens = {
  alice: 'alice-token',
  second: 'second-token',
  idToken: idToken(4_000_000_000),
  ended: idToken(1_000_000_000),
  boss: 'boss-token',
  nobody: 'nobody-token',
};

export async function startAccessWorld(): Promise<AccessWorld> {
  const { alice, second, boss, nobody } = tokens;
  const known = [alice, second, tokens.idToken].map((token) => `${token},alice,1`);
  const plane = await startControlPlane([...known, `${boss},boss,2`, `${nobody},nobody,3`]);
  const { kubectl } = await ensureBinaries(['kubectl'], {}, terminalReporter());
  const port = Number(new URL(plane.server).port);
  const api = { host: '127.0.0.1', port };
  await grant(await plane.kubeconfig('admin', ['system:masters'], 'team'));
  const aliceFile = await plane.kubeconfig('alice', [], 'team');
  const client = await issueLeaf(plane.authority, { commonName: 'alice', usages: ['clientAuth'] });
  const tls = await issueLeaf(plane.authority, {
    commonName: 'here',
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    usages: ['serverAuth'],
  });
  const children: ChildProcess[] = [];
  const plain = {
    port: await kubectlProxy(children, kubectl, aliceFile),
    prefixed: await kubectlProxy(children, kubectl, aliceFile, '--api-prefix=/k8s/'),
  };
  const way = { tunnel: api, plain: { host: '127.0.0.1', port: plain.port } };
  const forward = forwarder(plane, client);
  const wanted = `Basic ${Buffer.from('alice:secret').toString('base64')}`;
  const listening = {
    proxy: await startProxy(way),
    proxyWithPassword: await startProxy(way, { password: 'me:p@ss' }),
    proxyByTls: await startProxy(way, { tls }),
    socks: await startSocks(api),
    socksWithPassword: await startSocks(api, 'me:p@ss'),
    byPassword: await startServer(tls, (request, response) => {
      if (request.headers.authorization === wanted) return forward(request, response);
      response.writeHead(401).end();
    }),
    byIntermediate: await startByIntermediate(plane, (request, response) => forward(request, response, true)),
    issuer: await startServer(tls, issue),
  };
  return {
    plane,
    kubectl,
    port,
    ca: plane.authority.certificate,
    alice: client,
    plain,
    ...listening,
    async stop() {
      for (const child of children) child.kill('SIGKILL');
      for (const each of Object.values(listening)) each.close();
      await plane.stop();
    },
  };
}

/** Alice, and the group team-a, may look at the namespace team; the boss may be anybody. */
async function grant(adminKubeconfig: string): Promise<void> {
  const admin = connectByFile(adminKubeconfig, 'team');
  const create = (path: string, body: object) => admin.transport.request({ method: 'POST', path, body });
  const group = 'rbac.authorization.k8s.io';
  const rbac = { apiVersion: `${group}/v1` };
  await create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team' } });
  const look = { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] };
  await admin.create({ ...rbac, kind: 'Role', metadata: { name: 'look' }, rules: [look] } as KubeObject);
  await bind(admin, { kind: 'Role', name: 'look' }, { kind: 'User', name: 'alice' }, { kind: 'Group', name: 'team-a' });
  const act = {
    apiGroups: ['', 'authentication.k8s.io'],
    resources: ['users', 'groups', 'uids', 'userextras/reason'],
    verbs: ['impersonate'],
  };
  const at = `/apis/${group}/v1`;
  await create(`${at}/clusterroles`, { ...rbac, kind: 'ClusterRole', metadata: { name: 'act' }, rules: [act] });
  await create(`${at}/clusterrolebindings`, {
    ...rbac,
    kind: 'ClusterRoleBinding',
    metadata: { name: 'act' },
    roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'act' },
    subjects: [{ apiGroup: group, kind: 'User', name: 'boss' }],
  });
  await untilAllowed(admin, { user: 'boss' }, { verb: 'impersonate', resource: 'users' });
  await admin.close();
}

async function kubectlProxy(children: ChildProcess[], kubectl: string, kubeconfig: string, ...more: string[]) {
  const args = ['--kubeconfig', kubeconfig, 'proxy', '--port=0', ...more];
  const child = spawn(kubectl, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  return Number(/:(\d+)\s*$/.exec(said.toString())![1]);
}

/** Hands a request on to the API server, as Alice or with what it brings along. */
function forwarder(plane: ControlPlane, client: { certificate: string; key: string }) {
  return (
    request: Parameters<Parameters<typeof startServer>[1]>[0],
    response: Parameters<Parameters<typeof startServer>[1]>[1],
    asItIs = false,
  ) => {
    const { authorization, host: _, ...rest } = request.headers;
    const onward = https.request(
      `${plane.server}${request.url}`,
      {
        method: request.method,
        headers: asItIs ? { ...rest, authorization } : rest,
        ca: plane.authority.certificate,
        ...(!asItIs && { cert: client.certificate, key: client.key }),
      },
      (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on('error', () => response.writeHead(502).end());
    request.pipe(onward);
  };
}

/** An OIDC issuer that knows one refresh token. */
const issue: Parameters<typeof startServer>[1] = async (request, response) => {
  const json = (status: number, body: object) =>
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  if (request.url === '/.well-known/openid-configuration')
    return void json(200, { token_endpoint: `https://${request.headers.host}/token` });
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const form = new URLSearchParams(Buffer.concat(chunks).toString());
  if (form.get('refresh_token') !== 'fresh') return void json(400, { error: 'invalid_grant' });
  json(200, { access_token: 'x', token_type: 'bearer', id_token: tokens.idToken, refresh_token: 'fresh' });
};

async function startByIntermediate(plane: ControlPlane, answer: Parameters<typeof startServer>[1]) {
  const folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-intermediate-'));
  const at = (name: string) => path.join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe', cwd: folder });
  try {
    writeFileSync(at('ca.crt'), plane.authority.certificate);
    writeFileSync(at('ca.key'), plane.authority.key, { mode: 0o600 });
    const sign = (name: string, by: string, extension: string) => {
      writeFileSync(at(`${name}.ext`), extension);
      const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`];
      openssl('req', ...key, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
      const signer = ['-CA', `${by}.crt`, '-CAkey', `${by}.key`, '-CAcreateserial', '-days', '2'];
      openssl('x509', '-req', '-in', `${name}.csr`, ...signer, '-extfile', `${name}.ext`, '-out', `${name}.crt`);
    };
    sign('intermediate', 'ca', 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n');
    sign('leaf', 'intermediate', 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
    const read = (name: string) => readFileSync(at(name), 'utf8');
    const [leaf, intermediate] = [read('leaf.crt'), read('intermediate.crt')];
    return { ...(await startServer({ certificate: leaf, key: read('leaf.key') }, answer)), intermediate, leaf };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
