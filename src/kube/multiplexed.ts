import { once } from 'node:events';
import http2 from 'node:http2';
import type { Readable } from 'node:stream';
import tls from 'node:tls';
import { abortable } from './abortable.ts';
import { bareHost, type TlsOptions } from './tls.ts';

/** An answer as it begins, whichever protocol brings it. */
export type Incoming = Readable & { statusCode?: number; headers: http2.IncomingHttpHeaders };

/** Answers on one connection at most, whatever more the server allows: Kubernetes' own allows 100. */
const most = 100;

interface Session {
  opening: Promise<http2.ClientHttp2Session | undefined>;
  /** Those that come on it, and those that are about to. */
  answers: number;
  limit: number;
}

/**
 * Answers that last, many on one connection of HTTP/2: for each watch, a TLS connection takes some 100 KiB of this process, and a stream some 20.
 * A connection that nobody uses any more is ended.
 */
export class Multiplexed {
  readonly #server: URL;
  readonly #tls: TlsOptions;
  readonly #sessions = new Set<Session>();
  #isSpoken = true;
  #isClosed = false;

  /** @param server is dialled from here, by https */
  constructor(server: URL, tls: TlsOptions) {
    this.#server = server;
    this.#tls = tls;
  }

  /** @returns undefined where the server does not speak HTTP/2 @throws Error for no answer */
  async get(
    url: URL,
    headers: http2.OutgoingHttpHeaders,
    signal: AbortSignal | undefined,
  ): Promise<Incoming | undefined> {
    while (this.#isSpoken) {
      const shared = [...this.#sessions].find(({ answers, limit }) => answers < limit) ?? this.#open();
      shared.answers++;
      try {
        const session = await abortable(shared.opening, signal);
        const isFull = shared.answers > shared.limit;
        if (session && !isFull && !session.closed && !session.destroyed)
          return await answerOf(session, url, headers, signal, () => this.#giveBack(shared));
      } catch (error) {
        this.#giveBack(shared);
        throw error;
      }
      this.#giveBack(shared);
    }
    return undefined;
  }

  close(): void {
    this.#isClosed = true;
    for (const { opening } of this.#sessions) opening.then((session) => session?.destroy(), ignore);
  }

  #giveBack(shared: Session): void {
    shared.answers--;
    if (shared.answers > 0) return;
    this.#sessions.delete(shared);
    shared.opening.then((session) => session?.close(), ignore);
  }

  #open(): Session {
    const shared: Session = { opening: this.#connect(), answers: 0, limit: most };
    const forget = () => this.#sessions.delete(shared);
    this.#sessions.add(shared);
    shared.opening.then((session) => {
      if (!session) return forget();
      shared.limit = Math.min(most, session.remoteSettings.maxConcurrentStreams ?? most);
      // A server that says goodbye ends what it has begun, and begins nothing more.
      session.once('goaway', forget).once('close', forget);
      if (this.#isClosed) session.destroy();
    }, forget);
    return shared;
  }

  /** @returns undefined where the server does not speak HTTP/2, which is remembered */
  async #connect(): Promise<http2.ClientHttp2Session | undefined> {
    const { secureEndpoint: _, chosenName: __, ...options } = this.#tls;
    const { hostname, port } = this.#server;
    const host = bareHost(hostname);
    const socket = tls.connect({ ...options, host, port: Number(port || 443), ALPNProtocols: ['h2', 'http/1.1'] });
    // A server that is gone without a word is noticed, as by https.Agent.
    socket.setKeepAlive(true, 1000);
    await once(socket, 'secureConnect');
    if (socket.alpnProtocol !== 'h2') {
      this.#isSpoken = false;
      socket.destroy();
      return undefined;
    }
    let session: http2.ClientHttp2Session | undefined;
    // Before Node.js' own listener, by which the answers of a connection that was cut would end as those do that are whole.
    socket.once('close', () => session?.destroy(new Error('the connection was ended')));
    session = http2.connect(this.#server, { createConnection: () => socket });
    await once(session, 'remoteSettings');
    // Each of its answers says so.
    session.on('error', ignore);
    return session;
  }
}

/** @param onEnd called once it has begun, and has ended */
async function answerOf(
  session: http2.ClientHttp2Session,
  url: URL,
  headers: http2.OutgoingHttpHeaders,
  signal: AbortSignal | undefined,
  onEnd: () => void,
): Promise<Incoming> {
  const asked = { ':method': 'GET', ':path': url.pathname + url.search, ...headers };
  const stream = session.request(asked, { signal, endStream: true });
  const answer = await new Promise<http2.IncomingHttpHeaders & { ':status'?: number }>((resolve, reject) => {
    stream.once('response', resolve);
    stream.on('error', reject);
    stream.once('close', () => reject(new Error('the connection was ended before the answer')));
  });
  if (stream.destroyed) onEnd();
  else stream.once('close', onEnd);
  return Object.assign(stream, { statusCode: answer[':status'], headers: answer });
}

const ignore = () => undefined;
