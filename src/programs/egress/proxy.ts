import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Api } from './api.ts';
import { type Connection, dial, overWebSocket } from './connection.ts';
import type { Destinations } from './destinations.ts';
import { Refusal } from './refusal.ts';

/** From CONNECT to the answer. The API server itself sets no limit there. */
const openMilliseconds = 10_000;
/** Connections that are being made at once: many more mean that the way leads back to where it came from. */
const mostOpening = 64;
const mostOpen = 2000;

/** What a proxy needs to reach a destination. */
interface Ways {
  destinations: Destinations;
  api: Pick<Api, 'portForward'>;
  say: (words: string) => void;
}

/** An HTTP server that knows CONNECT alone (RFC 9110, 9.3.6), to what `destinations` allows. */
export function createProxy(ways: Ways): Server {
  let opening = 0;
  const server = createServer({ maxHeaderSize: 4096, headersTimeout: 5000, requestTimeout: 5000 }, (_, response) =>
    response.writeHead(405, { Allow: 'CONNECT', Connection: 'close' }).end(),
  );
  server.maxConnections = mostOpen;
  server.on('connect', async (request: IncomingMessage, client: Duplex, head: Buffer) => {
    const target = request.url ?? '';
    client.on('error', () => client.destroy());
    opening++;
    try {
      if (opening > mostOpening) throw new Refusal(503, `${mostOpening} connections are being made already`);
      const connection = await inTime(open(target, ways));
      if (client.destroyed) return connection.close();
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      if (head.length > 0) client.unshift(head);
      connection.carry(client);
    } catch (error) {
      refuse(client, target, error, ways.say);
    } finally {
      opening--;
    }
  });
  return server;
}

async function open(target: string, { destinations, api, say }: Ways): Promise<Connection> {
  const [, address = '', digits = ''] = /^([^:/\s]+):(\d{1,5})$/.exec(target) ?? [];
  const port = Number(digits);
  if (port < 1 || port > 65535) throw new Refusal(403, 'the target is not ADDRESS:PORT');
  const destination = await destinations.find(address);
  if (destination.kind === 'node') return dial(destination.address, port, openMilliseconds);
  const socket = await api.portForward(destination, port).catch(async (error: unknown) => {
    if (!(error instanceof Refusal) || error.status !== 404) throw error;
    // The pod that had the address is gone; another one may have it by now.
    destinations.forget(address);
    const next = await destinations.find(address);
    if (next.kind !== 'pod') throw error;
    return api.portForward(next, port);
  });
  return overWebSocket(socket, (words) => say(`${target}: ${words}`));
}

/** @throws Refusal when it takes too long; what comes after that is closed */
async function inTime(opening: Promise<Connection>): Promise<Connection> {
  let late = false;
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      late = true;
      reject(new Refusal(504, `no connection within ${openMilliseconds / 1000} s`));
    }, openMilliseconds);
  });
  opening.then(
    (connection) => late && connection.close(),
    () => undefined,
  );
  try {
    return await Promise.race([opening, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** The words go into the status line: the API server passes that on, and nothing else of an answer. */
function refuse(client: Duplex, target: string, error: unknown, say: Ways['say']): void {
  const { status, message } = error instanceof Refusal ? error : new Refusal(500, String(error));
  say(`${target}: ${status} ${message}`);
  client.end(
    `HTTP/1.1 ${status} ${message.replace(/[^\x20-\x7e]+/g, ' ')}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
  );
}
