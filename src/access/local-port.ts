import { once } from 'node:events';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

export interface LocalPort {
  /** On 127.0.0.1. */
  port: number;
  close(): Promise<void>;
}

/**
 * Listens on a port of this machine, and leads each connection on to a byte stream of its own. What runs through it is not read: TLS
 * ends at the API server.
 *
 * @param dial opens such a stream
 * @param onProblem takes what kept a connection from being led on
 * @param options `port`: when left out, a free one; `patience`: milliseconds for which a connection is tried anew, since an API server
 * that is replaced has a successor by then
 * @throws Error of Node's for a port that is taken
 */
export async function openLocalPort(
  dial: () => Promise<Duplex>,
  onProblem: (error: Error) => void,
  { port = 0, patience = 10_000 }: { port?: number; patience?: number } = {},
): Promise<LocalPort> {
  const open = new Set<Duplex>();
  const ending = new AbortController();
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    // Whoever hangs up is heard of by the other side's end.
    socket.on('error', () => undefined);
    dialPatiently(dial, patience, ending.signal, () => socket.destroyed).then(
      (stream) => join(socket, stream, open),
      (error: Error) => {
        socket.destroy();
        if (!ending.signal.aborted) onProblem(error);
      },
    );
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as net.AddressInfo).port,
    async close() {
      ending.abort();
      server.close();
      for (const each of open) each.destroy();
    },
  };
}

async function dialPatiently(
  dial: () => Promise<Duplex>,
  patience: number,
  signal: AbortSignal,
  isGivenUp: () => boolean,
): Promise<Duplex> {
  const end = performance.now() + patience;
  for (;;) {
    try {
      return await dial();
    } catch (error) {
      if (signal.aborted || isGivenUp() || performance.now() > end) throw error;
      await sleep(500, undefined, { signal });
    }
  }
}

function join(socket: net.Socket, stream: Duplex, open: Set<Duplex>): void {
  if (socket.destroyed) {
    stream.destroy();
    return;
  }
  open.add(stream);
  const end = () => {
    open.delete(stream);
    stream.destroy();
    socket.destroy();
  };
  stream.once('error', end);
  stream.once('close', end);
  // What came before the end is still written out.
  stream.once('end', () => socket.end());
  socket.once('close', end);
  socket.pipe(stream);
  stream.pipe(socket, { end: false });
}
