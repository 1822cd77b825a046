import { Duplex } from 'node:stream';
import type WebSocket from 'ws';

/** The subprotocol of port-forward over a WebSocket (k8s.io/kubelet/pkg/cri/streaming/portforward/websocket.go). */
export const forwardProtocol = 'v4.channel.k8s.io';

/** First byte of every message. */
const channel = { data: 0, error: 1 };

/**
 * The byte stream to one port of a pod that runs inside an open port-forward. What the kubelet says on the error channel
 * ends it with that as its error. It is for its user to destroy: one that destroyed itself at its end would take away
 * from a TLS connection around it what that has not handed on yet.
 */
export function forwardedStream(socket: WebSocket): Duplex {
  // Each channel's first message tells its port number, which is known.
  const greeted = new Set<number>();
  const stream = new Duplex({
    autoDestroy: false,
    write(chunk: Buffer, _encoding, done) {
      // Who writes to somebody who has gone (TLS says goodbye) may still read what that one said before.
      if (socket.readyState !== socket.OPEN) return done();
      socket.send(Buffer.concat([Buffer.from([channel.data]), chunk]), (error) => done(error ?? null));
    },
    read() {
      socket.resume();
    },
    destroy(error, done) {
      socket.terminate();
      done(error);
    },
    final(done) {
      socket.close();
      done();
    },
  });
  socket.on('message', (message: Buffer) => {
    const from = message[0]!;
    if (!greeted.has(from)) {
      greeted.add(from);
      return;
    }
    const rest = message.subarray(1);
    if (from === channel.error) stream.destroy(new Error(`port-forward: ${rest.toString('utf8').trim()}`));
    else if (rest.length > 0 && !stream.push(rest)) socket.pause();
  });
  socket.on('error', (error) => stream.destroy(error));
  socket.on('close', () => stream.push(null));
  return stream;
}
