import { once, setMaxListeners } from 'node:events';
import http2 from 'node:http2';
import https from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { until } from '../../test/until.ts';
import { linesOf } from '../base/lines.ts';
import { type Credential, createAuthority, issueLeaf } from '../pki/issue.ts';
import { ApiError } from './errors.ts';
import { Transport } from './transport.ts';

// Watches of a program that has many, of several users at one API server.

let authority: Credential;
let serving: { key: string; cert: string };
beforeAll(async () => {
  authority = await createAuthority('of the server');
  const leaf = await issueLeaf(authority, { commonName: 'api', ipAddresses: ['127.0.0.1'], usages: ['serverAuth'] });
  serving = { key: leaf.key, cert: leaf.certificate };
});

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

/** What the handlers of both protocols have of an answer. */
type Answer = {
  writeHead(status: number, headers?: object): unknown;
  write(text: string): unknown;
  end(text?: string): unknown;
};
type Asked = { headers: Record<string, string | string[] | undefined>; url?: string };

/** Each watch is told who watches, and lasts. */
function answer({ headers, url }: Asked, response: Answer): void {
  if (url?.startsWith('/refused')) {
    response.writeHead(403, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ kind: 'Status', reason: 'Forbidden', message: 'made up' }));
    return;
  }
  response.writeHead(200);
  response.write(`${headers['impersonate-user']}\n`);
}

async function behind(server: Server) {
  const open = new Set<Socket>();
  let connections = 0;
  server.on('secureConnection', (socket: Socket) => {
    connections++;
    open.add(socket);
    socket.on('error', () => undefined).once('close', () => open.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const lender = new Transport({
    server: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tls: { authorities: [authority.certificate] },
  });
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  const cut = () => {
    for (const socket of open) socket.destroy();
  };
  ending.push(
    () => server.close(),
    cut,
    () => lender.close(),
    () => stop.abort(),
  );
  const watch = (user: string, path = '/watch') =>
    lender.as({ user }).stream({ method: 'GET', path, signal: stop.signal });
  return { watch, stop, cut, open, connections: () => connections };
}

const secure = () =>
  http2.createSecureServer({ ...serving, settings: { maxConcurrentStreams: 40 } }, (request, response) =>
    answer(request, response as unknown as Answer),
  );

async function firstLine(stream: Readable): Promise<string> {
  const { value } = await linesOf(stream).next();
  return value as string;
}

test('watches of many users share connections, as many as the server allows on one, which end with the last', async () => {
  const { watch, stop, open, connections } = await behind(secure());
  const users = Array.from({ length: 100 }, (_, n) => `user-${n}`);
  const streams = await Promise.all(users.map((user) => watch(user)));
  for (const stream of streams) stream.on('error', () => undefined);
  const told = await Promise.all(streams.map((stream) => once(stream.setEncoding('utf8'), 'data')));
  expect(told.map(([text]) => text)).toEqual(users.map((user) => `${user}\n`));
  expect(open.size).toBe(3);
  expect(connections()).toBeLessThanOrEqual(4);
  stop.abort();
  await until(async () => open.size === 0);
});

test('a server that speaks HTTP/1.1 alone is asked by it', async () => {
  const { watch, connections } = await behind(https.createServer(serving, answer));
  expect(await firstLine(await watch('one'))).toBe('one');
  expect(await firstLine(await watch('other'))).toBe('other');
  expect(connections()).toBeGreaterThan(1);
});

test('a refusal is told as such', async () => {
  const { watch } = await behind(secure());
  await expect(watch('one', '/refused')).rejects.toThrow(ApiError);
});

test('a watch whose connection is cut ends with an error, and the next one is opened by another', async () => {
  const { watch, cut } = await behind(secure());
  const stream = await watch('one');
  const read = (async () => {
    for await (const _ of stream) cut();
  })();
  await expect(read).rejects.toThrow();
  expect(await firstLine(await watch('other'))).toBe('other');
});

test('a server that nobody finds is told as one that does not answer', async () => {
  const server = secure();
  const { watch } = await behind(server);
  server.close();
  await expect(watch('one')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});
