import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { type Listening, startProxy, startSocks } from '../../test/api/access/proxies.ts';
import { type Credential, createAuthority, issueLeaf } from '../pki/issue.ts';
import { connectHosted } from './connect.ts';
import type { Connection, Proxies } from './connection.ts';
import { ConnectionError, explainCallError } from './errors.ts';
import { handshake } from './handshake.ts';
import { Transport } from './transport.ts';

// Real proxies on loopback, which lead to a server whose name resolves nowhere.

let authority: Credential;
let client: Credential;
let servers: Record<'https' | 'http', http.Server>;
let proxies: Record<'plain' | 'password' | 'tls' | 'socks' | 'socksPassword', Listening>;

beforeAll(async () => {
  const ec = { keyType: 'ec' } as const;
  authority = await createAuthority('test-ca', ec);
  client = await issueLeaf(authority, { commonName: 'me', usages: ['clientAuth'] }, ec);
  const request = { commonName: 'server', usages: ['serverAuth' as const], dnsNames: ['infra.invalid'] };
  const { certificate: cert, key } = await issueLeaf(authority, request, ec);
  const tls = await issueLeaf(authority, { ...request, dnsNames: [], ipAddresses: ['127.0.0.1'] }, ec);
  const answer: http.RequestListener = (asked, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify({ gitVersion: asked.headers.authorization ?? 'nobody' }));
  };
  servers = { https: https.createServer({ cert, key }, answer), http: http.createServer(answer) };
  for (const server of Object.values(servers)) {
    const sockets = new WebSocketServer({ server, handleProtocols: () => 'p' });
    sockets.on('connection', (socket, { headers }) => socket.send(headers.authorization ?? 'nobody'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  const at = (server: http.Server) => ({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  const way = { tunnel: at(servers.https), plain: at(servers.http) };
  proxies = {
    plain: await startProxy(way),
    password: await startProxy(way, { password: 'me:p@ss' }),
    tls: await startProxy(way, { tls }),
    socks: await startSocks(at(servers.https)),
    socksPassword: await startSocks(at(servers.https), 'me:p@ss'),
  };
});

afterAll(() => {
  for (const server of Object.values(servers)) {
    server.closeAllConnections();
    server.close();
  }
  for (const proxy of Object.values(proxies)) proxy.close();
});

const server = 'https://infra.invalid:6443';
function open(way: Proxies, more: Partial<Connection> = {}): Transport {
  const tls = { authorities: [authority.certificate] };
  const credentials = { token: { text: 'secret' } };
  const transport = new Transport({ server, tls, credentials, proxies: way, ...more });
  onTestFinished(() => transport.close());
  return transport;
}
const get = { method: 'GET', path: '/version', retries: 0 } as const;
const version = async (transport: Transport) =>
  (await transport.request<{ gitVersion: string }>({ ...get })).body.gitVersion;

async function firstWords(transport: Transport): Promise<string> {
  const socket: WebSocket = await transport.webSocket('/', new URLSearchParams(), 'p');
  const said = once(socket, 'message') as Promise<[Buffer]>;
  socket.resume();
  const [words] = await said;
  socket.terminate();
  return words.toString();
}

const url = (proxy: Listening, scheme: string, user = '') => `${scheme}://${user}127.0.0.1:${proxy.port}`;

describe('requests, WebSockets and bare handshakes go through', () => {
  test.each([
    ['an HTTP proxy', () => ({ url: url(proxies.plain, 'http') })],
    ['one with a password', () => ({ url: url(proxies.password, 'http', 'me:p%40ss@') })],
    ['one behind TLS', () => ({ url: url(proxies.tls, 'https') })],
    ['a SOCKS5 proxy', () => ({ url: url(proxies.socks, 'socks5') })],
    ['one with a user', () => ({ url: url(proxies.socksPassword, 'socks5', 'me:p%40ss@') })],
    ['one of the environment', () => ({ https: url(proxies.plain, 'http') })],
  ])('%s, with their credentials and the name that is asked for', async (_, way) => {
    const transport = open(way());
    expect(await version(transport)).toBe('Bearer secret');
    expect(await firstWords(transport)).toBe('Bearer secret');
    const shown = await handshake({ host: 'infra.invalid', port: 443, proxies: way(), patience: 3000 });
    expect(shown.subjectAltName).toContain('infra.invalid');
    const access = { server: 'https://infra.invalid', certificateAuthority: authority.certificate, client };
    const hosted = connectHosted({ ...access, proxies: way() });
    expect((await hosted.version()).gitVersion).toBe('nobody');
    await hosted.close();
  });

  test('a proxy is told the name of the server, and one connection is for many requests', async () => {
    for (const [listening, scheme] of [
      [proxies.plain, 'http'],
      [proxies.socks, 'socks5'],
    ] as const) {
      const before = listening.asked.length;
      const transport = open({ url: url(listening, scheme) });
      for (let count = 0; count < 5; count++) await version(transport);
      expect(listening.asked.slice(before)).toEqual(['infra.invalid:6443']);
    }
  });

  test('K9: an http server: requests are forwarded, WebSockets tunnelled', async () => {
    const to = { server: 'http://infra.invalid:8001', credentials: undefined };
    expect(await version(open({ http: url(proxies.plain, 'http') }, to))).toBe('nobody');
    expect(proxies.plain.asked.at(-1)).toBe('http://infra.invalid:8001/version');
    const target = { host: '127.0.0.1', port: (servers.http.address() as AddressInfo).port };
    const tunnel = await startProxy({ tunnel: target, plain: target });
    onTestFinished(() => tunnel.close());
    expect(await firstWords(open({ http: url(tunnel, 'http') }, to))).toBe('nobody');
    expect(tunnel.asked).toEqual(['infra.invalid:8001']);
  });
});

describe('a proxy that does not let through is named', () => {
  const refusal = async (way: Proxies) => {
    const transport = open(way);
    const told = [
      await transport.request(get).catch((thrown: unknown) => thrown),
      await transport.webSocket('/', new URLSearchParams(), 'p').catch((thrown: unknown) => thrown),
    ];
    for (const error of told) expect(error).toBeInstanceOf(ConnectionError);
    return explainCallError(told[0], 'ask');
  };
  const named = (proxy: Listening, scheme: string, why: string) => ({
    anchor: 'infra-proxy',
    what: expect.stringContaining(`${scheme}://127.0.0.1:${proxy.port}`),
    why: expect.stringContaining(why),
  });

  test('that wants a password', { timeout: 30_000 }, async () => {
    const { password, socksPassword } = proxies;
    expect(await refusal({ url: url(password, 'http', 'me:x@') })).toMatchObject(named(password, 'http', 'password'));
    expect(await refusal({ url: url(socksPassword, 'socks5', 'me:x@') })).toMatchObject(
      named(socksPassword, 'socks5', ''),
    );
  });

  test('that the CA does not know', { timeout: 30_000 }, async () => {
    const { certificate } = await createAuthority('another', { keyType: 'ec' });
    const transport = open({ url: url(proxies.tls, 'https') }, { tls: { authorities: [certificate] } });
    await expect(transport.request(get)).rejects.toMatchObject({ proxy: `https://127.0.0.1:${proxies.tls.port}` });
  });

  test('that takes the connection and says nothing, whose connection ends as well', async () => {
    const silent = net.createServer(() => undefined);
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    onTestFinished(() => void silent.close());
    const opened = once(silent, 'connection') as Promise<[net.Socket]>;
    const transport = open({ url: `http://127.0.0.1:${(silent.address() as AddressInfo).port}` });
    await expect(transport.request({ ...get, timeout: 300 })).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    const [socket] = await opened;
    const ended = once(socket.resume(), 'close');
    await transport.close();
    await ended;
  });
});
