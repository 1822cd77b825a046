import { once } from 'node:events';
import type http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import type { Credential } from '../../src/pki/issue.ts';

/** One call that passed through a proxy. */
export interface Call {
  /** From 1 on, in the order in which calls came. */
  number: number;
  api: 'infra' | 'hosted';
  method: string;
  /** Without the query. */
  path: string;
  query: URLSearchParams;
  /** Watches and followed logs: the answer goes on for as long as the client wants. */
  streaming: boolean;
  /** `PATCH infra secrets/etcd`: the same for the same call of another run. */
  name: string;
  /** How often a call of this name had come before, plus 1. */
  occurrence: number;
}

/** What happens to a call instead of passing it on and its answer back. */
export type Fault =
  /** Answered here; the server never sees the call. `retryAfter` in seconds. */
  | { kind: 'answer'; status: number; reason?: string; retryAfter?: number }
  /** Passed on after so many milliseconds. */
  | { kind: 'slow'; milliseconds: number }
  /** Passed on, and acted on; the connection ends in the middle of the answer's body. */
  | { kind: 'cut' }
  /** Passed on, and acted on; half of the body comes as if it were all. */
  | { kind: 'short' }
  /** Passed on, and acted on; the connection ends before the answer. */
  | { kind: 'lost' }
  /** The connection ends, and the server never sees the call. */
  | { kind: 'refused' }
  /** A page of something that is no API server, with status 200. */
  | { kind: 'page' }
  /** A watch that begins and is told 410 Gone in its first event. */
  | { kind: 'gone' };

export interface Upstream {
  host: string;
  port: number;
  servername?: string;
  ca: string;
  client: Credential;
}

export interface ProxyOptions {
  api: Call['api'];
  address: string;
  /** 0 for any free one. */
  port: number;
  /** Asked at each new connection: the certificate to show, and where calls go; undefined refuses the connection. */
  open(): Promise<{ serving: Credential; upstream: Upstream } | undefined>;
}

/** Called for each call before it is passed on. */
export type Judge = (call: Call) => Fault | undefined;

/**
 * A man in the middle between the CLI and an API server, with a certificate of its own and the client's rights
 * upstream: it counts calls, and can do to any of them what bad networks and servers do.
 */
export class FaultProxy {
  readonly #options: ProxyOptions;
  readonly #server: https.Server;
  readonly #sockets = new Set<tls.TLSSocket>();
  #agent: { agent: https.Agent; upstream: Upstream } | undefined;
  calls: Call[] = [];
  judge: Judge = () => undefined;
  /** Called when the server has acted on a call, before the client hears of it, which it never does when this is false. */
  acted: (call: Call) => boolean = () => true;

  private constructor(options: ProxyOptions) {
    this.#options = options;
    this.#server = https.createServer(
      {
        SNICallback: (_, done) => void this.#secure(done),
        keepAlive: true,
      },
      (request, response) => void this.#handle(request, response).catch(() => response.destroy()),
    );
    this.#server.on('upgrade', (request, socket, head) => {
      socket.on('error', () => undefined);
      this.#converse(request, socket, head).catch(() => socket.destroy());
    });
    this.#server.on('secureConnection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      socket.on('error', () => undefined);
    });
    this.#server.on('tlsClientError', () => undefined);
  }

  static async start(options: ProxyOptions): Promise<FaultProxy> {
    const proxy = new FaultProxy(options);
    const opened = await options.open();
    if (opened) proxy.#server.setSecureContext({ key: opened.serving.key, cert: opened.serving.certificate });
    proxy.#server.listen(options.port, options.address);
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Forgets calls, faults and the server behind: the next call is the first of a new run. */
  reset(): void {
    this.calls = [];
    this.judge = () => undefined;
    this.acted = () => true;
    for (const socket of this.#sockets) socket.destroy();
    this.#agent?.agent.destroy();
    this.#agent = undefined;
  }

  async close(): Promise<void> {
    this.reset();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }

  async #secure(done: (error: Error | null, context?: tls.SecureContext) => void): Promise<void> {
    try {
      const opened = await this.#options.open();
      if (!opened) return done(new Error('nothing behind this proxy yet'));
      done(null, tls.createSecureContext({ key: opened.serving.key, cert: opened.serving.certificate }));
    } catch (error) {
      done(error as Error);
    }
  }

  async #handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const body = await whole(request);
    const call = this.#count(request);
    const fault = this.judge(call);
    if (fault?.kind === 'refused') return void request.socket.destroy();
    if (fault?.kind === 'answer') return answer(response, fault);
    if (fault?.kind === 'page')
      return void response
        .writeHead(200, { 'Content-Type': 'text/html' })
        .end('<html><body>Please sign in to this network</body></html>');
    if (fault?.kind === 'gone') return gone(response);
    if (fault?.kind === 'slow') await new Promise((resolve) => setTimeout(resolve, fault.milliseconds));
    const upstream = await this.#pass(request, body);
    if (call.streaming && upstream.statusCode === 200) {
      if (!this.acted(call)) return;
      response.writeHead(200, upstream.headers);
      if (fault?.kind === 'cut') {
        response.write('{"type":"ADD');
        setTimeout(() => request.socket.destroy(), 20);
        return;
      }
      response.flushHeaders();
      upstream.pipe(response);
      response.once('close', () => upstream.destroy());
      return;
    }
    const content = await whole(upstream);
    if (!this.acted(call)) return;
    if (fault?.kind === 'lost') return void request.socket.destroy();
    const { 'transfer-encoding': _, ...headers } = upstream.headers;
    const half = content.subarray(0, Math.floor(content.length / 2));
    if (fault?.kind === 'short')
      return void response.writeHead(upstream.statusCode!, { ...headers, 'content-length': half.length }).end(half);
    response.writeHead(upstream.statusCode!, { ...headers, 'content-length': content.length });
    if (fault?.kind === 'cut') {
      response.write(half);
      setTimeout(() => request.socket.destroy(), 20);
    } else response.end(content);
  }

  /** exec and port-forward: a WebSocket, both ways of which are passed on as they are once the server has agreed. */
  async #converse(request: http.IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const call = this.#count(request);
    if (this.judge(call)) return void socket.destroy();
    const { agent, upstream } = await this.#way();
    const outgoing = https.request({
      // A connection of the pool would be lost to it once it speaks another protocol.
      agent: new https.Agent({ ...agent.options, keepAlive: false }),
      host: upstream.host,
      port: upstream.port,
      path: request.url,
      headers: { ...request.headers, host: upstream.servername ?? upstream.host },
    });
    outgoing.end();
    const [answer, theirs] = await new Promise<[http.IncomingMessage, Duplex?]>((resolve, reject) => {
      outgoing.once('error', reject);
      outgoing.once('response', (response) => resolve([response]));
      outgoing.once('upgrade', (response, stream, first) => {
        stream.unshift(first);
        resolve([response, stream]);
      });
    });
    theirs?.on('error', () => socket.destroy());
    socket.once('close', () => (theirs ?? answer).destroy());
    theirs?.once('close', () => socket.destroy());
    if (!this.acted(call)) return;
    const headers = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\n${headers.join('')}\r\n`);
    if (!theirs) return void answer.pipe(socket);
    theirs.write(head);
    theirs.pipe(socket);
    socket.pipe(theirs);
  }

  #count(request: http.IncomingMessage): Call {
    const url = new URL(request.url ?? '/', 'https://proxy');
    const { api } = this.#options;
    const streaming = url.searchParams.has('watch') || url.searchParams.get('follow') === 'true';
    const name = [
      streaming ? 'WATCH' : request.method,
      api,
      url.pathname
        .replace(/^\/apis?\/(.*\/namespaces\/[^/]+\/)?/, '')
        // A Deployment's pods have other names in the next run.
        .replace(/^(pods\/.+?)-[a-z0-9]+-[a-z0-9]{5}(?=\/|$)/, '$1'),
      url.searchParams.has('dryRun') ? '(dry run)' : '',
    ]
      .filter(Boolean)
      .join(' ');
    const call: Call = {
      number: this.calls.length + 1,
      api,
      method: request.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      streaming,
      name,
      occurrence: this.calls.filter((each) => each.name === name).length + 1,
    };
    this.calls.push(call);
    return call;
  }

  async #way(): Promise<{ agent: https.Agent; upstream: Upstream }> {
    if (!this.#agent) {
      const opened = await this.#options.open();
      if (!opened) throw new Error('nothing behind this proxy yet');
      const { ca, client, servername } = opened.upstream;
      this.#agent = {
        upstream: opened.upstream,
        agent: new https.Agent({ keepAlive: true, ca, cert: client.certificate, key: client.key, servername }),
      };
    }
    return this.#agent;
  }

  async #pass(request: http.IncomingMessage, body: Buffer): Promise<http.IncomingMessage> {
    const { agent, upstream } = await this.#way();
    const { host: _, connection: __, ...headers } = request.headers;
    return new Promise((resolve, reject) => {
      const outgoing = https.request(
        {
          agent,
          host: upstream.host,
          port: upstream.port,
          method: request.method,
          path: request.url,
          headers: { ...headers, host: upstream.servername ?? upstream.host },
        },
        resolve,
      );
      outgoing.once('error', reject);
      outgoing.end(body);
    });
  }
}

function answer(response: http.ServerResponse, fault: Extract<Fault, { kind: 'answer' }>): void {
  const reasons: Record<number, string> = {
    409: 'Conflict',
    410: 'Expired',
    429: 'TooManyRequests',
    500: 'InternalError',
    503: 'ServiceUnavailable',
  };
  const status = {
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    message: `made up by the fault harness (${fault.status})`,
    reason: fault.reason ?? reasons[fault.status] ?? '',
    code: fault.status,
  };
  response
    .writeHead(fault.status, {
      'Content-Type': 'application/json',
      ...(fault.retryAfter !== undefined && { 'Retry-After': String(fault.retryAfter) }),
    })
    .end(JSON.stringify(status));
}

/** https://kubernetes.io/docs/reference/using-api/api-concepts/#410-gone-responses */
function gone(response: http.ServerResponse): void {
  const object = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Expired', code: 410 };
  response
    .writeHead(200, { 'Content-Type': 'application/json' })
    .end(`${JSON.stringify({ type: 'ERROR', object: { ...object, message: 'too old resource version' } })}\n`);
}

async function whole(stream: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
