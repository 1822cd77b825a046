import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { WebSocketServer } from 'ws';
import { type Credential as Authority, createAuthority, issueLeaf } from '../pki/issue.ts';
import { connectInfra } from './connect.ts';
import type { Credentials, PluginCredentials } from './connection.ts';
import { Transport } from './transport.ts';

// Credentials that end, against a real TLS server that knows one token, or asks for client certificates.

let authority: Authority;
let tls: Authority;
let folder: string;
let known: string;
let seen: { authorization?: string; certificate?: string; method?: string }[];
let server: https.Server;

beforeAll(async () => {
  authority = await createAuthority('test-ca', { keyType: 'ec' });
  tls = await issueLeaf(
    authority,
    { commonName: 'server', usages: ['serverAuth'], ipAddresses: ['127.0.0.1'] },
    { keyType: 'ec' },
  );
});

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-credentials-'));
  known = 'token-1';
  seen = [];
  const options = {
    cert: tls.certificate,
    key: tls.key,
    ca: authority.certificate,
    requestCert: true,
    rejectUnauthorized: false,
  };
  server = https.createServer(options, (request, response) => {
    const { authorization } = request.headers;
    const certificate = (request.socket as TLSSocket).getPeerCertificate().subject?.CN;
    seen.push({ authorization, certificate: String(certificate), method: request.method });
    response.writeHead(authorization === `Bearer ${known}` ? 200 : 401, { 'Content-Type': 'application/json' });
    response.end('{"gitVersion":"v1"}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(() => {
  vi.useRealTimers();
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

function transport(credentials: Credentials): Transport {
  const { port } = server.address() as AddressInfo;
  const connection = {
    server: `https://127.0.0.1:${port}`,
    tls: { authorities: [authority.certificate] },
    credentials,
  };
  const made = new Transport(connection);
  onTestFinished(() => made.close());
  return made;
}

const file = (name: string, content: string, mode = 0o600) => {
  writeFileSync(path.join(folder, name), content, { mode });
  return path.join(folder, name);
};

/** A plugin whose every run gives another token: token-1, token-2, … */
function plugin(status = '', more: Partial<PluginCredentials> = {}, before = ''): PluginCredentials {
  const script = `#!/bin/sh
echo run >> ${folder}/runs
${before}
printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{${status}"token":"token-%s"}}' "$(wc -l < ${folder}/runs)"
`;
  return {
    command: file('plugin', script, 0o755),
    args: [],
    env: [],
    apiVersion: 'client.authentication.k8s.io/v1',
    interactiveMode: 'Never',
    environment: { PATH: process.env.PATH },
    terminal: false,
    where: 'user "u" of a file',
    ...more,
  };
}
const runs = () => readFileSync(path.join(folder, 'runs'), 'utf8').split('\n').length - 1;
const get = { method: 'GET', path: '/version' } as const;
const far = '"expirationTimestamp":"2099-01-01T00:00:00Z",';

test('D7: after a 401 the plugin is asked again, and the request is sent once more, a POST as well', async () => {
  known = 'token-2';
  const asked = transport({ plugin: plugin(far) });
  expect((await asked.request({ method: 'POST', path: '/', body: {} })).status).toBe(200);
  expect(seen.map(({ authorization }) => authorization)).toEqual(['Bearer token-1', 'Bearer token-2']);
  await asked.request(get);
  expect(runs()).toBe(2);
});

test('D7: a second 401 is what is told', async () => {
  known = 'another';
  await expect(transport({ plugin: plugin(far) }).request(get)).rejects.toMatchObject({ status: 401 });
  expect(runs()).toBe(2);
});

test('D7: watches and WebSockets ask again as well', async () => {
  known = 'token-2';
  const stream = await transport({ plugin: plugin(far) }).stream(get);
  expect(Buffer.concat(await stream.toArray()).toString()).toContain('v1');
  rmSync(path.join(folder, 'runs'));
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'p' });
  server.on('upgrade', (request, socket, head) => {
    if (request.headers.authorization === `Bearer ${known}`)
      return sockets.handleUpgrade(request, socket, head, (opened) => opened.send('hello'));
    socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
  });
  const socket = await transport({ plugin: plugin(far) }).webSocket('/', new URLSearchParams(), 'p');
  socket.terminate();
  expect(runs()).toBe(2);
});

test('one run of the plugin is for all that ask at once', async () => {
  const asked = transport({ plugin: plugin('', {}, 'sleep 0.2') });
  await Promise.all(Array.from({ length: 12 }, () => asked.request(get)));
  expect(runs()).toBe(1);
});

test('a token that has ended is asked for again', async () => {
  const asked = transport({ plugin: plugin('"expirationTimestamp":"2001-01-01T00:00:00Z",') });
  await asked.request(get);
  known = 'token-2';
  await asked.request(get);
  expect(runs()).toBe(2);
});

test('a plugin that lets wait is spoken of', { timeout: 20_000 }, async () => {
  const said: string[] = [];
  const asked = transport({ plugin: plugin('', { notice: (sentence) => said.push(sentence) }, 'sleep 4.5') });
  await asked.request(get);
  expect(said).toEqual([expect.stringContaining('user "u" of a file')]);
});

test('waiting for a plugin ends with the signal', async () => {
  const ended = path.join(folder, 'ended');
  const asked = transport({ plugin: plugin('', {}, `sleep 5; touch ${ended}`) });
  await expect(asked.request({ ...get, signal: AbortSignal.timeout(200) })).rejects.toThrow();
  expect(existsSync(ended), 'the plugin had ended by then').toBe(false);
});

test('a failure names the user, and nothing of the answer', async () => {
  const named = { anchor: 'infra-credentials', what: expect.stringContaining('user "u" of a file') };
  const asked = transport({ plugin: plugin('"expirationTimestamp":"soon",') });
  await expect(asked.request(get)).rejects.toMatchObject(named);
  const always = transport({ plugin: plugin('', { interactiveMode: 'Always' }) });
  await expect(always.request(get)).rejects.toMatchObject({ ...named, why: expect.stringContaining('terminal') });
  const hint = { command: 'no-such-plugin', installHint: 'get it \u001b[31mhere' };
  await expect(transport({ plugin: plugin('', hint) }).request(get)).rejects.toMatchObject({
    ...named,
    fix: 'get it [31mhere',
  });
});

test('a token file is read again within a minute, and at once after a 401', async () => {
  const token = file('token', 'token-1\n');
  const asked = transport({ token: { file: token } });
  await asked.request(get);
  writeFileSync(token, 'token-2\n');
  await asked.request(get);
  known = 'token-2';
  await asked.request(get);
  writeFileSync(token, 'token-3\n');
  known = 'token-3';
  const now = performance.now();
  vi.spyOn(performance, 'now').mockReturnValue(now + 55_000);
  await asked.request(get);
  vi.restoreAllMocks();
  expect(seen.map(({ authorization }) => authorization?.slice(-1))).toEqual(['1', '1', '1', '2', '3']);
});

test('a token counts as long as its file cannot be read or is empty', async () => {
  const token = path.join(folder, 'later');
  const asked = transport({ token: { text: 'token-1', file: token } });
  await asked.request(get);
  writeFileSync(token, ' \n');
  await asked.request(get);
  writeFileSync(token, 'token-2');
  known = 'token-2';
  await asked.request(get);
});

test('client certificates that were written anew are shown after a 401, by new connections', async () => {
  known = 'nobody';
  const client = (name: string) =>
    issueLeaf(authority, { commonName: name, usages: ['clientAuth'] }, { keyType: 'ec' });
  const [first, second] = [await client('first'), await client('second')];
  const certificate = file('client.crt', first.certificate);
  const key = file('client.key', first.key);
  const asked = transport({ client: { certificate: { file: certificate }, key: { file: key } } });
  await expect(asked.request(get)).rejects.toMatchObject({ status: 401 });
  writeFileSync(certificate, second.certificate);
  writeFileSync(key, second.key);
  for (const written of [certificate, key]) utimesSync(written, new Date(), new Date(Date.now() + 5000));
  await expect(asked.request(get)).rejects.toMatchObject({ status: 401 });
  expect(seen.map(({ certificate }) => certificate)).toEqual(['first', 'first', 'second']);
});

test('a program that has k8sk8s inside makes a connection of a server, a CA and a token', async () => {
  const { port } = server.address() as AddressInfo;
  const connection = {
    server: `https://127.0.0.1:${port}`,
    tls: { authorities: [authority.certificate] },
    credentials: { token: { text: 'token-1' } },
    impersonate: { user: 'bøb', groups: ['a', 'b'], extra: { 'x/y%': ['1', '2'] } },
  };
  let headers: NodeJS.Dict<string[]> = {};
  server.on('request', (request) => {
    headers = request.headersDistinct;
  });
  const cluster = connectInfra(connection, 'team');
  expect(await cluster.version()).toMatchObject({ gitVersion: 'v1' });
  await cluster.close();
  expect(headers).toMatchObject({
    'impersonate-user': [Buffer.from('bøb').toString('latin1')],
    'impersonate-group': ['a', 'b'],
    'impersonate-extra-x%2fy%25': ['1', '2'],
  });
});
