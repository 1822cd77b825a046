import { once } from 'node:events';
import type http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import type { Credential } from '../../src/pki/issue.ts';

/** One call that passed through a proxy. */
export interface Call {
  /** Number of the call, from 1. */
  number: number;
  api: 'infra' | 'hosted';
  method: string;
  /** Path without the query. */
  path: string;
  query: URLSearchParams;
  /** A watch or a followed log: its answer has no end. */
  streaming: boolean;
  /** `PATCH infra secrets/etcd`: the same call of another run has the same name. */
  name: string;
  /** Number among the calls of this name, from 1. */
  occurrence: number;
}

/** What happens to a call in place of normal forwarding. */
export type Fault =
  /** Answered here; the server never sees the call. `retryAfter` in seconds. */
  | { kind: 'answer'; status: number; reason?: string; retryAfter?: number }
  /** Forwarded after so many milliseconds. */
  | { kind: 'slow'; milliseconds: number }
  /** Forwarded, and the server acts on it; the connection ends in the middle of the answer's body. */
  | { kind: 'cut' }
  /** Forwarded, and the server acts on it; half of the body is sent as if it were whole. */
  | { kind: 'short' }
  /** Forwarded, and the server acts on it; the connection ends before the answer. */
  | { kind: 'lost' }
  /** The connection ends, and the server never sees the call. */
  | { kind: 'refused' }
  /** A web page with status 200, as from something other than an API server. */
  | { kind: 'page' }
  /** A watch whose first event is 410 Gone. */
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
  /**
   * Called for each new connection: returns the certificate to present and the server for its calls; undefined refuses the
   * connection.
   */
  open(): Promise<{ serving: Credential; upstream: Upstream } | undefined>;
}

/** Called for each call before it is forwarded. */
export type Judge = (call: Call) => Fault | undefined;

/**
 * A man in the middle between the CLI and an API server, with its own certificate and the client's credentials upstream. It
 * counts calls, and can disturb each of them as bad networks and servers do.
 */
export class FaultProxy {
  readonly #options: ProxyOptions;
  readonly #server: https.Server;
  readonly #sockets = new Set<tls.TLSSocket>();
  #agent: { agent: https.Agent; upstream: Upstream } | undefined;
  calls: Call[] = [];
  judge: Judge = () => undefined;
  /**
   * Called when the server has acted on a call, before the client gets the answer. When it returns false, the client gets none.
   */
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

  /** Forgets calls, faults and the server: the next call is the first of a new run. */
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
      if (!opened) return done(new Error('this proxy has no server yet'));
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

  /** exec and port-forward use a WebSocket: after the server has accepted it, bytes are forwarded unchanged both ways. */
  async #converse(request: http.IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const call = this.#count(request);
    if (this.judge(call)) return void socket.destroy();
    const { agent, upstream } = await this.#way();
    const outgoing = https.request({
      // A connection with another protocol cannot go back into the pool, so this one is new.
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
        // Pods of a Deployment have other names in the next run.
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
    message: `answer of the fault harness (${fault.status})`,
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
