import type http from 'node:http';
import type { Readable } from 'node:stream';
import type WebSocket from 'ws';
import { boundedText } from '../base/bounded-text.ts';
import { UserError } from '../base/errors.ts';
import { abortable } from './abortable.ts';
import type { Connection, Credential } from './connection.ts';
import { ApiError, type ClusterRole, ConnectionError, type KubeStatus, notJson } from './errors.ts';
import type { Links } from './links.ts';
import type { Incoming } from './multiplexed.ts';
import { Wire } from './wire.ts';

export interface ApiRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Absolute path on the server, without the query. */
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  /** Default application/json. */
  contentType?: string;
  /** Default application/json. */
  accept?: string;
  /** Milliseconds for the whole exchange of one try; default 15 s. */
  timeout?: number;
  signal?: AbortSignal;
  /** Times to try again after 429, 5xx or a lost connection; default 6 (about 6 s), 4 before the first answer, 0 for probes. */
  retries?: number;
  /** What comes is text, not JSON: logs, health. */
  text?: boolean;
  /** Bytes of the answer that are read at most, where less is known than of all answers. */
  longest?: number;
  /** Whether doing it twice is as good as once. Of a POST that is known only for those that store nothing: dry runs, reviews. */
  repeatable?: boolean;
}

/** Milliseconds for a WebSocket to open. */
const handshakeTime = 15_000;

export interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
}

/** One try of a request: it sends once, and says what went wrong. What is tried again, and when, says Transport. */
export class Exchange {
  readonly server: URL;
  readonly #connection: Connection;
  readonly #wire: Wire;
  readonly #of: ClusterRole;
  readonly #shares: boolean;

  /** @param links as Wire has them */
  constructor(connection: Connection, of: ClusterRole, links?: Links) {
    this.server = new URL(connection.server);
    this.#connection = connection;
    this.#of = of;
    this.#wire = new Wire(connection, links);
    this.#shares = links !== undefined;
  }

  get links(): Links {
    return this.#wire.links;
  }

  /** The whole answer, whatever its status. @throws ConnectionError for none */
  async request(request: ApiRequest, credential: Credential): Promise<Answer> {
    const limit = AbortSignal.timeout(request.timeout ?? 15_000);
    const signal = request.signal ? AbortSignal.any([request.signal, limit]) : limit;
    try {
      const response = await this.send(request, credential, signal);
      return {
        status: response.statusCode ?? 500,
        headers: response.headers,
        body: await text(response, request.longest ?? this.#connection.longestAnswer),
      };
    } catch (error) {
      if (limit.aborted && !request.signal?.aborted) throw this.#lost('ETIMEDOUT', 'no answer in time', error);
      throw this.#connectionError(error, request.signal);
    }
  }

  /** The answer as it begins. @param lasts as Wire has it */
  async send(
    request: ApiRequest,
    credential: Credential,
    signal: AbortSignal | undefined,
    lasts = false,
  ): Promise<Incoming> {
    const url = this.#url(request.path);
    for (const [key, value] of Object.entries(request.query ?? {}))
      if (value !== undefined) url.searchParams.set(key, String(value));
    const body =
      request.body === undefined
        ? undefined
        : Buffer.from(typeof request.body === 'string' ? request.body : JSON.stringify(request.body));
    const headers = {
      Accept: request.accept ?? 'application/json',
      ...(body && { 'Content-Type': request.contentType ?? 'application/json', 'Content-Length': body.length }),
    };
    // Where several share connections, there are many watches; one plane has two.
    if (lasts && this.#shares && request.method === 'GET') {
      const shared = await this.#try(() => this.#wire.multiplexed(url, { headers, signal }, credential), signal);
      if (shared) return shared;
    }
    const outgoing = await this.#try(
      () => this.#wire.request(url, { method: request.method, headers, signal, lasts }, credential),
      signal,
    );
    const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
      outgoing.once('response', resolve);
      outgoing.once('error', (error) => reject(this.#connectionError(error, signal)));
      outgoing.end(body);
    });
    return abortable(answered, signal);
  }

  /** An open WebSocket, paused. @throws ApiError and ConnectionError */
  async webSocket(
    path: string,
    query: URLSearchParams,
    protocol: string,
    credential: Credential,
    signal: AbortSignal | undefined,
  ): Promise<WebSocket> {
    const url = this.#url(path);
    url.search = query.toString();
    const socket = await this.#try(() => this.#wire.webSocket(url, protocol, credential), signal);
    const limit = AbortSignal.timeout(handshakeTime);
    const opened = new Promise<WebSocket>((resolve, reject) => {
      socket.once('open', () => {
        socket.pause();
        resolve(socket);
      });
      socket.once('unexpected-response', (_, response) => {
        text(response, longestRefusal).then(
          (body) => reject(this.statusError({ status: response.statusCode ?? 500, headers: response.headers, body })),
          reject,
        );
      });
      socket.on('error', (error) => reject(this.#connectionError(error, signal)));
    });
    try {
      return await abortable(opened, signal ? AbortSignal.any([signal, limit]) : limit);
    } catch (error) {
      socket.terminate();
      if (limit.aborted && !signal?.aborted) throw this.#lost('ETIMEDOUT', 'no answer in time', error);
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#wire.close();
  }

  /** @throws ConnectionError for what is no JSON although it has to be: cut off, or not from an API server at all */
  parse<T>({ headers, body }: Answer): T {
    const type = String(headers['content-type'] ?? '');
    try {
      return JSON.parse(body) as T;
    } catch (error) {
      const shown = body.replace(/\s+/g, ' ').trim().slice(0, 80);
      throw this.#lost(notJson, `${type || 'without a type'}: ${shown}`, error);
    }
  }

  statusError(answer: Answer): ApiError {
    return statusErrorOf(answer, this.#of);
  }

  #url(path: string): URL {
    return new URL(this.server.pathname.replace(/\/$/, '') + path, this.server.origin);
  }

  async #try<T>(open: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    try {
      return await open();
    } catch (error) {
      throw this.#connectionError(error, signal);
    }
  }

  #connectionError(error: unknown, signal: AbortSignal | undefined): unknown {
    // Credentials that cannot be had explain themselves.
    if (error instanceof ConnectionError || error instanceof UserError || signal?.aborted) return error;
    const code = (error as NodeJS.ErrnoException).code ?? '';
    return this.#lost(code, error instanceof Error ? error.message : String(error), error);
  }

  #lost(code: string, message: string, cause: unknown): ConnectionError {
    const { proxy } = this.#wire;
    const trust = this.#connection.tls?.authoritiesOf;
    return new ConnectionError(this.server.origin, code, message, { cause, of: this.#of, proxy, trust });
  }
}

function statusErrorOf(answer: Answer, of: ClusterRole): ApiError {
  const retryAfterSeconds = Number(answer.headers['retry-after']) || undefined;
  try {
    const status = JSON.parse(answer.body) as KubeStatus;
    if (status.kind === 'Status') {
      return new ApiError({
        status: answer.status,
        reason: status.reason ?? '',
        message: oneLine(status.message ?? '', of),
        causes: status.details?.causes,
        retryAfterSeconds,
        of,
      });
    }
  } catch {
    // Not from an API server; the text below is all there is.
  }
  return new ApiError({
    status: answer.status,
    reason: '',
    // Of a list of health checks, those that passed say nothing.
    message: answer.body
      .replaceAll(/^\[\+\].*\n/gm, '')
      .trim()
      .slice(0, 300),
    retryAfterSeconds,
    of,
  });
}

/** Users of a hosted cluster choose words of its refusals, and a line of theirs is not to look like one of k8sk8s' own. */
function oneLine(message: string, of: ClusterRole): string {
  return of === 'hosted' ? message.replace(/\s*[\r\n]+\s*/g, ' ') : message;
}

/** An answer that goes on without end is one of somebody who stands where the API server should: users of a hosted cluster may serve APIs. */
const longestAnswer = 256 << 20;

/** Bytes of the body of an answer that says why there is no stream. */
export const longestRefusal = 1 << 20;

export function text(stream: Readable, longest = longestAnswer): Promise<string> {
  return boundedText(stream, longest);
}
