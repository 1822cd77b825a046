import http from 'node:http';
import https from 'node:https';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { UserError } from '../base/errors.ts';
import { ApiError, type ClusterRole, ConnectionError, type KubeStatus, notJson } from './errors.ts';

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
  /** Whether doing it twice is as good as once. Of a POST that is known only for those that store nothing: dry runs, reviews. */
  repeatable?: boolean;
}

/** Everything node's https client needs to speak to one server, made anew when credentials have to be refreshed. */
export type Credentials = (refresh: boolean) => Promise<https.RequestOptions>;

/** The content type of server-side apply: JSON is YAML, so it is sent as such. */
export const applyPatch = 'application/apply-patch+yaml';
/** A server that asks for more patience than this, in milliseconds, is told of instead of waited for. */
const longestWait = 30_000;
/** No try begins later than this many milliseconds after the first. */
const longestTrying = 20_000;

interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
}

/**
 * One keep-alive connection pool to one API server. It knows HTTP and the Status object, no kinds.
 * Lost connections, answers that are not whole and 429/5xx are tried again; a POST only where the server certainly did
 * not act on it, or storing nothing. So is an apply that was told 409, since it asks for the same whatever came between.
 */
export class Transport {
  readonly server: URL;
  readonly #credentials: Credentials;
  readonly #of: ClusterRole;
  #options: Promise<https.RequestOptions> | undefined;
  #answered = false;

  constructor(server: string, credentials: Credentials, of: ClusterRole = 'infra') {
    this.server = new URL(server);
    this.#of = of;
    this.#credentials = credentials;
  }

  /** @throws ApiError for an answer of 400 and above, ConnectionError for none */
  async request<T>(request: ApiRequest): Promise<{ status: number; body: T }> {
    const started = Date.now();
    for (let attempt = 0; ; attempt++) {
      // A server that never answered is more likely to be the wrong one than to come back in a moment.
      const isLast = () =>
        attempt >= (request.retries ?? (this.#answered ? 6 : 4)) || Date.now() - started > longestTrying;
      let answer: Answer;
      try {
        answer = await this.#exchange(request);
        this.#answered = true;
        if (answer.status < 400)
          return { status: answer.status, body: request.text ? (answer.body as T) : this.#parse<T>(answer) };
      } catch (error) {
        if (!(error instanceof ConnectionError) || isLast() || !mayRepeat(request, error.code)) throw error;
        await sleep(backoff(attempt), undefined, { signal: request.signal });
        continue;
      }
      if (answer.status === 401 && attempt === 0) {
        this.#options = this.#credentials(true);
        continue;
      }
      const error = this.#statusError(answer);
      const wait = error.retryAfterSeconds === undefined ? backoff(attempt) : error.retryAfterSeconds * 1000;
      if (!mayAskAgain(request, error) || isLast() || wait > longestWait) throw error;
      await sleep(wait, undefined, { signal: request.signal });
    }
  }

  /** The answer's body as it arrives: watches and followed logs. The caller ends it through `signal`. */
  async stream(request: ApiRequest): Promise<Readable> {
    const response = await this.#send(request);
    if ((response.statusCode ?? 500) < 400) return response;
    throw this.#statusError({
      status: response.statusCode ?? 500,
      headers: response.headers,
      body: await text(response),
    });
  }

  /**
   * An open WebSocket to a path that speaks one of Kubernetes' subprotocols; paused, so that nothing is missed before
   * somebody listens. A lost connection before it is open is tried again: nothing has been done by then.
   */
  async webSocket(path: string, query: URLSearchParams, protocol: string, signal?: AbortSignal): Promise<WebSocket> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#upgrade(path, query, protocol, signal);
      } catch (error) {
        if (error instanceof ApiError && error.status === 401 && attempt === 0) this.#options = this.#credentials(true);
        else if (!(error instanceof ConnectionError) || attempt >= 4) throw error;
        await sleep(backoff(attempt), undefined, { signal });
      }
    }
  }

  async #upgrade(
    path: string,
    query: URLSearchParams,
    protocol: string,
    signal: AbortSignal | undefined,
  ): Promise<WebSocket> {
    this.#options ??= this.#credentials(false);
    const { agent, headers, ...tls } = await this.#options;
    const url = new URL(this.server.pathname.replace(/\/$/, '') + path, this.server);
    url.protocol = this.server.protocol === 'http:' ? 'ws:' : 'wss:';
    url.search = query.toString();
    const socket = new WebSocket(url, protocol, {
      ...tls,
      // A connection of the pool would be lost to it once it speaks another protocol.
      agent:
        agent instanceof https.Agent ? new https.Agent({ ...agent.options, keepAlive: false }) : agent || undefined,
      headers: { ...(headers as Record<string, string>), 'User-Agent': 'k8sk8s' },
      handshakeTimeout: 15_000,
      perMessageDeflate: false,
    });
    return new Promise((resolve, reject) => {
      const stop = () => socket.terminate();
      signal?.addEventListener('abort', stop, { once: true });
      const settled = () => signal?.removeEventListener('abort', stop);
      socket.once('open', () => {
        settled();
        socket.pause();
        resolve(socket);
      });
      socket.once('unexpected-response', (_, response) => {
        settled();
        text(response).then(
          (body) => reject(this.#statusError({ status: response.statusCode ?? 500, headers: response.headers, body })),
          reject,
        );
      });
      socket.once('error', (error) => {
        settled();
        reject(signal?.aborted ? signal.reason : this.#connectionError(error, signal));
      });
    });
  }

  /** Frees the pooled connections, so that the process can end. */
  async close(): Promise<void> {
    const agent = (await this.#options?.catch(() => undefined))?.agent;
    if (agent instanceof http.Agent) agent.destroy();
  }

  async #exchange(request: ApiRequest): Promise<Answer> {
    const limit = AbortSignal.timeout(request.timeout ?? 15_000);
    const signal = request.signal ? AbortSignal.any([request.signal, limit]) : limit;
    try {
      const response = await this.#send({ ...request, signal });
      return { status: response.statusCode ?? 500, headers: response.headers, body: await text(response) };
    } catch (error) {
      if (limit.aborted && !request.signal?.aborted)
        throw new ConnectionError(this.server.origin, 'ETIMEDOUT', 'no answer in time', { cause: error, of: this.#of });
      throw this.#connectionError(error, request.signal);
    }
  }

  async #send(request: ApiRequest): Promise<http.IncomingMessage> {
    this.#options ??= this.#credentials(false);
    const options = await this.#options;
    const url = new URL(this.server.pathname.replace(/\/$/, '') + request.path, this.server);
    for (const [key, value] of Object.entries(request.query ?? {}))
      if (value !== undefined) url.searchParams.set(key, String(value));
    const body =
      request.body === undefined
        ? undefined
        : Buffer.from(typeof request.body === 'string' ? request.body : JSON.stringify(request.body));
    const client = url.protocol === 'http:' ? http : https;
    return new Promise((resolve, reject) => {
      const outgoing = client.request(
        url,
        {
          ...options,
          method: request.method,
          signal: request.signal,
          headers: {
            ...options.headers,
            Accept: request.accept ?? 'application/json',
            'User-Agent': 'k8sk8s',
            ...(body && { 'Content-Type': request.contentType ?? 'application/json', 'Content-Length': body.length }),
          },
        },
        resolve,
      );
      outgoing.once('error', (error) => reject(this.#connectionError(error, request.signal)));
      outgoing.end(body);
    });
  }

  /** @throws ConnectionError for what is no JSON although it has to be: cut off, or not from an API server at all */
  #parse<T>({ headers, body }: Answer): T {
    const type = String(headers['content-type'] ?? '');
    try {
      return JSON.parse(body) as T;
    } catch (error) {
      const shown = body.replace(/\s+/g, ' ').trim().slice(0, 80);
      throw new ConnectionError(this.server.origin, notJson, `${type || 'without a type'}: ${shown}`, {
        cause: error,
        of: this.#of,
      });
    }
  }

  #connectionError(error: unknown, signal: AbortSignal | undefined): unknown {
    // Credentials that cannot be had explain themselves.
    if (error instanceof ConnectionError || error instanceof UserError || signal?.aborted) return error;
    const code = (error as NodeJS.ErrnoException).code ?? '';
    return new ConnectionError(this.server.origin, code, error instanceof Error ? error.message : String(error), {
      cause: error,
      of: this.#of,
    });
  }

  #statusError(answer: Answer): ApiError {
    const retryAfterSeconds = Number(answer.headers['retry-after']) || undefined;
    try {
      const status = JSON.parse(answer.body) as KubeStatus;
      if (status.kind === 'Status') {
        return new ApiError({
          status: answer.status,
          reason: status.reason ?? '',
          message: status.message ?? '',
          causes: status.details?.causes,
          retryAfterSeconds,
          of: this.#of,
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
      of: this.#of,
    });
  }
}

function mayRepeat(request: ApiRequest, code: string): boolean {
  if (code === 'ECONNREFUSED' || request.repeatable) return true;
  return (
    request.method !== 'POST' && ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'HPE_INVALID_EOF_STATE', notJson].includes(code)
  );
}

function mayAskAgain(request: ApiRequest, { status }: ApiError): boolean {
  if (status === 429) return true;
  if (status === 409) return request.contentType === applyPatch;
  return status >= 500 && (request.method !== 'POST' || request.repeatable === true);
}

/** 100 ms, 200 ms, 400 ms, … at most 5 s, with jitter so that parallel calls do not return together. */
function backoff(attempt: number): number {
  return Math.min(5000, 100 * 2 ** attempt) * (0.75 + Math.random() / 2);
}

async function text(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
