import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import { createProxy } from '../connect-proxy/proxy.ts';
import { Refusal } from '../connect-proxy/refusal.ts';
import type { Destination } from './destinations.ts';
import { openInside } from './inside.ts';

// Real sockets: a pod's server, a port-forward like the kubelet's before it, and the proxy.

let folder: string;
let pod: Server;
let port: number;
let kubelet: WebSocketServer;
let proxy: http.Server;
let places: Record<string, Destination[]>;
let said: string[];
let gone: Set<string>;
let impostor: boolean;
const sockets = new Set<Socket>();

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'egress-'));
  said = [];
  gone = new Set();
  impostor = false;
  pod = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  kubelet = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  kubelet.on('connection', forward);
  places = {
    '10.2.0.5': [{ kind: 'pod', namespace: 'default', name: 'web' }],
    '127.0.0.1': [{ kind: 'kubelet' }],
  };
  const destinations = {
    async find(address: string) {
      const [place] = places[address] ?? [];
      if (!place) throw new Refusal('refused', `${address} is a stranger\r\nX: y`);
      return place;
    },
    forget: (address: string) => void places[address]?.shift(),
  };
  const kubelets = {
    async check() {
      if (impostor) throw new Refusal('probed', 'no kubelet');
    },
  };
  const api = {
    async portForward({ name }: { name: string }, port: number): Promise<WebSocket> {
      if (gone.has(name)) throw new Refusal('gone', `pods "${name}" not found`);
      const socket = new WebSocket(`ws://127.0.0.1:${(kubelet.address() as AddressInfo).port}/?ports=${port}`);
      return new Promise((resolve) =>
        socket.once('open', () => {
          socket.pause();
          resolve(socket);
        }),
      );
    },
  };
  const say = (words: string) => said.push(words);
  proxy = createProxy({
    open: (host, port) => openInside({ destinations, kubelets, api, say }, host, port, 2000),
    veil: 300,
    say,
  });
  await new Promise<void>((resolve) => proxy.listen(path.join(folder, 'egress.sock'), resolve));
  port = (pod.address() as AddressInfo).port;
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  for (const socket of kubelet.clients) socket.terminate();
  proxy.close();
  kubelet.close();
  pod.close();
  rmSync(folder, { recursive: true });
});

/** As kubelets and container runtimes do it: both channels begin with the port, then bytes, and an end ends it all. */
function forward(socket: WebSocket, request: http.IncomingMessage): void {
  const port = Number(new URL(request.url!, 'ws://x').searchParams.get('ports'));
  for (const channel of [0, 1]) socket.send(Buffer.of(channel, port & 255, port >> 8));
  const inner = connect(port, '127.0.0.1');
  sockets.add(inner);
  inner.on('data', (chunk) => socket.send(Buffer.concat([Buffer.of(0), chunk])));
  inner.on('error', (error) => socket.send(Buffer.concat([Buffer.of(1), Buffer.from(error.message)])));
  inner.on('close', () => socket.close());
  socket.on('message', (message: Buffer) => inner.write(message.subarray(1)));
  socket.on('close', () => inner.end());
}

/** @returns the status line, and the connection behind it */
async function open(target: string): Promise<{ status: string; socket: Socket }> {
  const socket = connect(path.join(folder, 'egress.sock'));
  sockets.add(socket);
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
  const head = await new Promise<string>((resolve, reject) => {
    let text = '';
    socket.on('data', function read(chunk: Buffer) {
      text += chunk.toString('latin1');
      if (!text.includes('\r\n\r\n')) return;
      socket.off('data', read).pause();
      resolve(text);
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`closed after ${JSON.stringify(text)}`)));
  });
  return { status: head.split('\r\n')[0]!, socket };
}

function received(socket: Socket, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let so = 0;
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      so += chunk.length;
      if (so >= length) resolve(Buffer.concat(chunks));
    });
    socket.once('close', () => reject(new Error(`closed after ${so} bytes`)));
    // It was paused by hand when its head was read.
    socket.resume();
  });
}

const podPort = () => port;

test.each([
  ['a pod', '10.2.0.5'],
  ['a kubelet', '127.0.0.1'],
])('carries megabytes both ways to %s, unchanged', async (_, address) => {
  const { status, socket } = await open(`${address}:${podPort()}`);
  expect(status).toMatch(/^HTTP\/1.1 200 /);
  const bytes = Buffer.alloc(8 << 20, 'so many bytes that buffers fill up ');
  const back = received(socket, bytes.length);
  socket.write(bytes);
  expect((await back).equals(bytes)).toBe(true);
});

test('a reader that stops stops the pod, too, and nothing piles up in between', async () => {
  pod.removeAllListeners('connection');
  let sent = 0;
  pod.on('connection', (inner) => {
    sockets.add(inner);
    const chunk = Buffer.alloc(64 << 10);
    const more = () => {
      while (sent < 32 << 20) {
        sent += chunk.length;
        if (!inner.write(chunk)) return void inner.once('drain', more);
      }
    };
    inner.on('error', () => undefined);
    more();
  });
  // The stand-in for the kubelet has to stop by itself, as the real one does.
  kubelet.removeAllListeners('connection');
  kubelet.on('connection', (socket, request) => {
    const port = Number(new URL(request.url!, 'ws://x').searchParams.get('ports'));
    for (const channel of [0, 1]) socket.send(Buffer.of(channel, 0, 0));
    const inner = connect(port, '127.0.0.1');
    sockets.add(inner);
    inner.on('data', (chunk) => {
      inner.pause();
      socket.send(Buffer.concat([Buffer.of(0), chunk]), () => inner.resume());
    });
  });
  const { socket } = await open(`10.2.0.5:${podPort()}`);
  let last = -1;
  while (sent !== last) {
    last = sent;
    await sleep(200);
  }
  expect(sent).toBeLessThan(24 << 20);
  await received(socket, 32 << 20);
});

test('the end on either side is the end on the other', async () => {
  const first = await open(`10.2.0.5:${podPort()}`);
  const closed = new Promise((resolve) => pod.once('connection', (inner) => inner.once('close', resolve)));
  const second = await open(`10.2.0.5:${podPort()}`);
  second.socket.end();
  await closed;
  const ended = new Promise((resolve) => first.socket.resume().once('close', resolve));
  for (const socket of kubelet.clients) socket.close();
  await ended;
});

test('a port where nothing listens ends the connection, and the log says why', async () => {
  const free = await new Promise<number>((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
  const { socket } = await open(`10.2.0.5:${free}`);
  await new Promise((resolve) => socket.resume().once('close', resolve));
  expect(said.join()).toMatch(/10\.2\.0\.5:\d+: connect ECONNREFUSED/);
});

test('a pod that is gone is looked for again, once', async () => {
  gone.add('web');
  places['10.2.0.5']!.push({ kind: 'pod', namespace: 'default', name: 'next' });
  expect((await open(`10.2.0.5:${podPort()}`)).status).toMatch(/ 200 /);
  gone.add('next');
  expect((await open(`10.2.0.5:${podPort()}`)).status).toMatch(/ 403 /);
});

const refused = 'HTTP/1.1 403 refused by the gate of this control plane';

test.each([
  ['192.0.2.1:443', 'is a stranger'],
  ['hook.example.com:443', 'is a stranger'],
  ['[2001:db8::1]:443', '2001:db8::1 is a stranger'],
  ['10.2.0.5', 'not HOST:PORT'],
  ['10.2.0.5:0', 'not HOST:PORT'],
  ['10.2.0.5:70000', 'not HOST:PORT'],
  ['::1:443', 'not HOST:PORT'],
  ['[::1%eth0]:443', 'not HOST:PORT'],
])('CONNECT %s is refused in the words of any other refusal, and only the log says why', async (target, why) => {
  expect((await open(target)).status).toBe(refused);
  expect(said.join()).toContain(why);
});

test('what was found in the network shows neither in the words nor in the time', async () => {
  const timed = async (target: string) => {
    const began = performance.now();
    const { status } = await open(target);
    return { status, milliseconds: performance.now() - began };
  };
  impostor = true;
  const wrong = await timed(`127.0.0.1:${podPort()}`);
  impostor = false;
  pod.close();
  const silent = await timed(`127.0.0.1:${podPort()}`);
  for (const { status, milliseconds } of [wrong, silent]) {
    expect(status).toBe(refused);
    expect(milliseconds).toBeGreaterThan(290);
  }
});

test('what is not CONNECT is refused', async () => {
  const status = await new Promise<number>((resolve) =>
    http.get({ socketPath: path.join(folder, 'egress.sock'), path: 'http://10.2.0.5/' }, (response) => {
      response.resume();
      resolve(response.statusCode!);
    }),
  );
  expect(status).toBe(405);
});
