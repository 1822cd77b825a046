import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from './connection.ts';
import { Refusal } from './refusal.ts';

/** From CONNECT to the answer. The API server itself sets no limit there. */
const openMilliseconds = 10_000;
/** Connections that are being made at once: each has a file descriptor and a look-up of its own. */
const mostPending = 64;
const mostOpen = 2000;

/** What stands behind an egress proxy: how it opens a connection, and what becomes of those who may not pass. */
export interface Egress {
  /** @param host an IPv4 address, an IPv6 address without brackets, or a name @throws Refusal */
  open(host: string, port: number): Promise<Connection>;
  /**
   * A refusal in which the infra cluster's network had a part comes when a whole number of so many milliseconds is over:
   * whoever asks does not learn by the time whether an address was silent, closed or showed another's certificate.
   */
  veil: number;
  say(words: string): void;
}

/** An HTTP server that knows CONNECT alone (RFC 9110, 9.3.6). */
export function createProxy(egress: Egress): Server {
  let pending = 0;
  const server = createServer({ maxHeaderSize: 4096, headersTimeout: 5000, requestTimeout: 5000 }, (_, response) =>
    response.writeHead(405, { Allow: 'CONNECT', Connection: 'close' }).end(),
  );
  server.maxConnections = mostOpen;
  server.on('connect', async (request: IncomingMessage, client: Duplex, head: Buffer) => {
    const began = performance.now();
    const target = request.url ?? '';
    client.on('error', () => client.destroy());
    pending++;
    try {
      if (pending > mostPending) throw new Refusal('refused', `${mostPending} connections are being made already`);
      const connection = await inTime(open(target, egress));
      if (client.destroyed) return connection.close();
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      if (head.length > 0) client.unshift(head);
      connection.carry(client);
    } catch (error) {
      void refuse(client, target, error, began, egress);
    } finally {
      pending--;
    }
  });
  return server;
}

async function open(target: string, egress: Egress): Promise<Connection> {
  const [, inBrackets, bare, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:/\s[\]]{1,253})):(\d{1,5})$/.exec(target) ?? [];
  const port = Number(digits);
  if (!(port >= 1 && port <= 65535)) throw new Refusal('refused', 'the target is not HOST:PORT');
  return egress.open(inBrackets ?? bare!, port);
}

/** @throws Refusal when it takes too long; what comes after that is closed */
async function inTime(connecting: Promise<Connection>): Promise<Connection> {
  let late = false;
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      late = true;
      reject(new Refusal('probed', `no connection within ${openMilliseconds / 1000} s`));
    }, openMilliseconds);
  });
  connecting.then(
    (connection) => late && connection.close(),
    () => undefined,
  );
  try {
    return await Promise.race([connecting, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Always the same words: the API server hands the status line on to whoever caused the connection. */
const refusal =
  'HTTP/1.1 403 refused by the gate of this control plane\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';

async function refuse(
  client: Duplex,
  target: string,
  error: unknown,
  began: number,
  { veil, say }: Egress,
): Promise<void> {
  const known = error instanceof Refusal;
  say(`${target}: ${known ? error.message : String(error)}`);
  const took = performance.now() - began;
  if (!known || error.kind === 'probed') await sleep(Math.ceil(took / veil) * veil - took);
  client.end(refusal);
}
