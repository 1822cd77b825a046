import { once, setMaxListeners } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Transport } from './transport.ts';

// A program that runs for long enters one API server in the names of many, again and again.

let server: http.Server;
let lender: Transport;
let connections: number;
/** Who asked, in this order. */
let users: unknown[];

beforeEach(async () => {
  [connections, users] = [0, []];
  server = http.createServer((request, response) => {
    users.push(request.headers['impersonate-user']);
    response.writeHead(200, { 'content-type': 'application/json' });
    if (request.url?.includes('watch')) response.write('{}\n');
    else response.end('{}');
  });
  server.on('connection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  lender = new Transport({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
});

afterEach(async () => {
  await lender.close();
  server.closeAllConnections();
  server.close();
});

const get = (transport: Transport) => transport.request({ method: 'GET', path: '/' });

test('requests in the names of many go by the same connection, which outlives each of them', async () => {
  for (const user of ['one', 'other']) {
    const transport = lender.as({ user });
    await get(transport);
    await transport.close();
  }
  await get(lender);
  expect(users).toEqual(['one', 'other', undefined]);
  expect(connections).toBe(1);
});

test('watches keep no request waiting, however many there are', async () => {
  const ended = new AbortController();
  setMaxListeners(0, ended.signal);
  const transport = lender.as({ user: 'one' });
  const watches = Array.from({ length: 60 }, () =>
    transport.stream({ method: 'GET', path: '/watch', signal: ended.signal }),
  );
  for (const stream of await Promise.all(watches)) stream.on('error', () => undefined);
  await get(lender);
  expect(users).toHaveLength(61);
  ended.abort();
});
