import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo, type Socket } from 'node:net';

/** Something that listens on loopback. */
export interface Listening {
  port: number;
  /** What it was asked for, one `host:port` or path each. */
  asked: string[];
  close(): void;
}

/** Where a proxy leads, whatever it is asked for. */
export interface Target {
  host: string;
  port: number;
}

async function listen(server: net.Server, asked: string[]): Promise<Listening> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket.once('close', () => sockets.delete(socket)));
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function join(one: Socket, other: Socket): void {
  one.pipe(other).pipe(one);
  one.on('error', () => other.destroy());
  other.on('error', () => one.destroy());
}

/**
 * An HTTP proxy: tunnels what is asked by CONNECT to `tunnel`, and forwards plain requests to `plain`.
 *
 * @param options `password`: USER:PASSWORD that it wants; `tls`: it is spoken to by TLS
 */
export function startProxy(
  { tunnel, plain }: { tunnel: Target; plain: Target },
  options: { password?: string; tls?: { certificate: string; key: string } } = {},
): Promise<Listening> {
  const asked: string[] = [];
  const { tls, password } = options;
  const wanted = password && `Basic ${Buffer.from(password).toString('base64')}`;
  const server = tls ? https.createServer({ cert: tls.certificate, key: tls.key }) : http.createServer();
  server.on('connect', (request: http.IncomingMessage, socket: Socket) => {
    asked.push(request.url ?? '');
    if (wanted && request.headers['proxy-authorization'] !== wanted)
      return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n');
    const upstream = net.connect(tunnel.port, tunnel.host, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      join(socket, upstream);
    });
    upstream.on('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'));
  });
  server.on('request', (request: http.IncomingMessage, response: http.ServerResponse) => {
    asked.push(request.url ?? '');
    const { host, port } = plain;
    const { pathname, search } = new URL(request.url ?? '/', 'http://x');
    const headers = { ...request.headers, host: `${host}:${port}` };
    const forwarded = http.request(
      { host, port, path: pathname + search, method: request.method, headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      },
    );
    forwarded.on('error', () => response.writeHead(502).end());
    request.pipe(forwarded);
  });
  return listen(server, asked);
}

/** A SOCKS5 proxy (RFC 1928, RFC 1929) that leads to `target`, whatever it is asked for. */
export function startSocks(target: Target, password?: string): Promise<Listening> {
  const asked: string[] = [];
  const server = net.createServer(async (socket) => {
    socket.on('error', () => undefined);
    try {
      const read = reader(socket);
      const [, methods = 0] = await read(2);
      await read(methods);
      socket.write(Buffer.from([5, password ? 2 : 0]));
      if (password) {
        const [, nameLength = 0] = await read(2);
        const name = (await read(nameLength)).toString();
        const [length = 0] = await read(1);
        const given = `${name}:${(await read(length)).toString()}`;
        socket.write(Buffer.from([1, given === password ? 0 : 1]));
        if (given !== password) return void socket.end();
      }
      const [, , , kind] = await read(4);
      const length = kind === 3 ? ((await read(1))[0] ?? 0) : kind === 1 ? 4 : 16;
      const address = await read(length);
      const port = (await read(2)).readUInt16BE();
      asked.push(`${kind === 3 ? address.toString() : [...address].join('.')}:${port}`);
      const upstream = net.connect(target.port, target.host, () => {
        socket.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
        socket.removeAllListeners('readable');
        join(socket, upstream);
      });
    } catch {
      socket.destroy();
    }
  });
  return listen(server, asked);
}

/** Reads exact numbers of bytes. */
function reader(socket: Socket): (length: number) => Promise<Buffer> {
  return async (length) => {
    if (length === 0) return Buffer.alloc(0);
    for (;;) {
      const chunk = socket.read(length) as Buffer | null;
      if (chunk) return chunk;
      if (socket.destroyed || socket.readableEnded) throw new Error('ended');
      await Promise.race([once(socket, 'readable'), once(socket, 'close')]);
    }
  };
}

/** A server that answers requests as `answer` says, by TLS. */
export function startServer(
  tls: { certificate: string; key: string },
  answer: http.RequestListener,
): Promise<Listening> {
  const asked: string[] = [];
  const server = https.createServer({ cert: tls.certificate, key: tls.key }, (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    answer(request, response);
  });
  return listen(server, asked);
}
