import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import { keepAlive } from './alive.ts';

test('a WebSocket on which nobody says anything is kept alive, also while it is not read, and ends as any other', async () => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const connected = once(server, 'connection') as Promise<[WebSocket]>;
  const socket = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  keepAlive(socket, 5);
  const [other] = await connected;
  await once(other, 'ping');
  socket.pause();
  await once(other, 'ping');
  socket.resume();
  const ended = once(other, 'close');
  socket.close();
  await ended;
  expect(socket.readyState).not.toBe(WebSocket.OPEN);
  server.close();
});
