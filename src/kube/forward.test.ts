import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { createAuthority, issueLeaf } from '../pki/issue.ts';
import { forwardedStream, forwardProtocol } from './forward.ts';
import { Transport } from './transport.ts';

// A real TLS server behind a bridge that frames bytes as a kubelet's port-forward does.

let ca: string;
let server: https.Server;
let bridge: WebSocketServer;

beforeAll(async () => {
  const authority = await createAuthority('test-ca');
  ca = authority.certificate;
  const request = { commonName: 'server', usages: ['serverAuth' as const], dnsNames: ['localhost'] };
  const { certificate: cert, key } = await issueLeaf(authority, request);
  server = https.createServer({ cert, key }, (asked, answer) => {
    const size = Number(asked.url!.slice(1));
    if (asked.method === 'GET') return void answer.end(Buffer.alloc(size, 'x'));
    answer.writeHead(200, { 'Content-Length': size + 1 }).write(Buffer.alloc(size, 'x'));
    setTimeout(() => answer.destroy(), 20);
  });
  server.listen(0, '127.0.0.1');
  bridge = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  bridge.on('connection', (client) => {
    for (const channel of [0, 1]) client.send(Buffer.from([channel, 0, 0]));
    const upstream = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
    upstream.on('data', (chunk: Buffer) => client.send(Buffer.concat([Buffer.from([0]), chunk])));
    upstream.on('end', () => client.close());
    client.on('message', (message: Buffer) => void upstream.write(message.subarray(1)));
    client.on('close', () => upstream.destroy());
  });
  await once(server, 'listening');
});

afterAll(() => {
  server.close();
  bridge.close();
});

async function fetchSlowly(size: number, method = 'GET'): Promise<number> {
  const transport = new Transport({ server: `http://127.0.0.1:${(bridge.address() as AddressInfo).port}` });
  const socket = await transport.webSocket('/', new URLSearchParams(), forwardProtocol);
  const createConnection = () => tls.connect({ socket: forwardedStream(socket), ca, servername: 'localhost' });
  const request = http.request({ createConnection, method, path: `/${size}`, host: 'server' }).end();
  const [answer] = (await once(request, 'response')) as [http.IncomingMessage];
  let got = 0;
  await sleep(30);
  for await (const chunk of answer) {
    got += (chunk as Buffer).length;
    await sleep(3);
  }
  return got;
}

test('a reader who is slower than the pod gets all of it, however much is still under way when the pod has ended', async () => {
  const sizes = Array.from({ length: 40 }, (_, index) => 1 + index * 5000);
  expect(await Promise.all(sizes.map((size) => fetchSlowly(size).catch(String)))).toEqual(sizes);
});

test('one that breaks off before its end is no end', async () => {
  await expect(fetchSlowly(100_000, 'POST')).rejects.toThrow('aborted');
});
