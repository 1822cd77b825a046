import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type WebSocket from 'ws';
import { Refusal } from './refusal.ts';

/** A way to a node or a pod that is open. One of the two is called, once. */
export interface Connection {
  /** Carries bytes both ways until one side ends; neither is read faster than the other takes it. */
  carry(client: Duplex): void;
  close(): void;
}

/** A dead node is noticed on a silent connection after this and ten seconds. */
const keepAliveMilliseconds = 30_000;
/** Bytes on their way to a pod from which on the client is not read; and below which it is again. */
const muchUnderWay = 256 << 10;
const littleUnderWay = 64 << 10;

/** @throws Refusal when nothing answers there, or not within `milliseconds` */
export function dial(host: string, port: number, milliseconds: number): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const node = connect({ host, port, allowHalfOpen: true, noDelay: true, timeout: milliseconds });
    node.once('timeout', () => node.destroy(new Error('no answer')));
    node.once('error', (error) => reject(new Refusal('probed', error.message)));
    node.once('connect', () => {
      node.setTimeout(0);
      node.setKeepAlive(true, keepAliveMilliseconds);
      resolve({ carry: (client) => carryOverSocket(node, client), close: () => node.destroy() });
    });
  });
}

function carryOverSocket(node: Socket, client: Duplex): void {
  node.on('error', () => node.destroy());
  node.once('close', () => client.destroy());
  client.once('close', () => node.destroy());
  client.pipe(node).pipe(client);
}

/**
 * One port of a pod by a WebSocket that speaks portForwardProtocol.
 *
 * @param say told what the kubelet reports, such as a port where nothing listens
 */
export function overWebSocket(socket: WebSocket, say: (words: string) => void): Connection {
  const failed = (error: Error) => say(error.message);
  socket.on('error', failed);
  return {
    close: () => socket.terminate(),
    carry(client) {
      const begun = new Set<number>();
      socket.on('message', (message: Buffer) => {
        const channel = message[0] ?? 0;
        if (!begun.has(channel)) return void begun.add(channel);
        if (channel !== 0) return say(message.subarray(1).toString('utf8'));
        if (client.write(message.subarray(1))) return;
        socket.pause();
        client.once('drain', () => socket.resume());
      });
      // The port is closed on the other side; there is no half of it left to write to.
      socket.once('close', () => client.end(() => client.destroy()));
      client.on('data', (chunk: Buffer) => {
        socket.send(Buffer.concat([dataChannel, chunk]), () => {
          if (socket.bufferedAmount < littleUnderWay) client.resume();
        });
        if (socket.bufferedAmount > muchUnderWay) client.pause();
      });
      client.once('end', () => socket.close());
      client.once('close', () => socket.terminate());
      socket.resume();
    },
  };
}

const dataChannel = Buffer.of(0);
