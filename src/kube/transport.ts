import type http from 'node:http';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type WebSocket from 'ws';
import { UserError } from '../base/errors.ts';
import { abortable } from './abortable.ts';
import type { Connection, Credential } from './connection.ts';
import { type CredentialSource, sourceOf } from './credential-source.ts';
import { ApiError, type ClusterRole, ConnectionError, type KubeStatus, notJson } from './errors.ts';
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
  /** Whether doing it twice is as good as once. Of a POST that is known only for those that store nothing: dry runs, reviews. */
  repeatable?: boolean;
}

/** The content type of server-side apply: JSON is YAML, so it is sent as such. */
export const applyPatch = 'application/apply-patch+yaml';
/** A server that asks for more patience than this, in milliseconds, is told of instead of waited for. */
const longestWait = 30_000;
/** No try begins later than this many milliseconds after the first. */
const longestTrying = 20_000;

/** Milliseconds for a WebSocket to open. */
const handshakeTime = 15_000;

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
  readonly connection: Connection;
  readonly #source: CredentialSource;
  readonly #wire: Wire;
  readonly #of: ClusterRole;
  #answered = false;

  constructor(connection: Connection, of: ClusterRole = 'infra') {
    this.server = new URL(connection.server);
    this.connection = connection;
    this.#of = of;
    this.#source = sourceOf(connection.credentials);
    this.#wire = new Wire(connection);
  }

  /** @throws ApiError for an answer of 400 and above, ConnectionError for none, UserError for credentials that cannot be had */
  async request<T>(request: ApiRequest): Promise<{ status: number; body: T }> {
    let credential = await this.#credential(request.signal);
    // A plugin that asks a person for something takes the time that it takes.
    const started = Date.now();
    let renewed = false;
    for (let attempt = 0; ; attempt++) {
      // A server that never answered is more likely to be the wrong one than to come back in a moment.
      const isLast = () =>
        attempt >= (request.retries ?? (this.#answered ? 6 : 4)) || Date.now() - started > longestTrying;
      let answer: Answer;
      try {
        answer = await this.#exchange(request, credential);
        this.#answered = true;
        if (answer.status < 400)
          return { status: answer.status, body: request.text ? (answer.body as T) : this.#parse<T>(answer) };
      } catch (error) {
        if (!(error instanceof ConnectionError) || isLast() || !mayRepeat(request, error.code)) throw error;
        await sleep(backoff(attempt), undefined, { signal: request.signal });
        continue;
      }
      // Who is not known has changed nothing, whatever was asked for.
      if (answer.status === 401 && !renewed && (await this.#source.renew(credential))) {
        renewed = true;
        credential = await this.#credential(request.signal);
        continue;
      }
      const error = this.#statusError(answer);
      const wait = error.retryAfterSeconds === undefined ? backoff(attempt) : error.retryAfterSeconds * 1000;
      if (!mayAskAgain(request, error) || isLast() || wait > longestWait) throw error;
      await sleep(wait, undefined, { signal: request.signal });
      credential = await this.#credential(request.signal);
    }
  }

  /** The answer's body as it arrives: watches and followed logs. The caller ends it through `signal`. */
  async stream(request: ApiRequest): Promise<Readable> {
    for (let renewed = false; ; renewed = true) {
      const credential = await this.#credential(request.signal);
      const response = await this.#send(request, credential, request.signal);
      const status = response.statusCode ?? 500;
      if (status < 400) return response;
      const body = await text(response);
      if (status === 401 && !renewed && (await this.#source.renew(credential))) continue;
      throw this.#statusError({ status, headers: response.headers, body });
    }
  }

  /**
   * An open WebSocket to a path that speaks one of Kubernetes' subprotocols; paused, so that nothing is missed before
   * somebody listens. A lost connection before it is open is tried again: nothing has been done by then.
   */
  async webSocket(path: string, query: URLSearchParams, protocol: string, signal?: AbortSignal): Promise<WebSocket> {
    let renewed = false;
    for (let attempt = 0; ; attempt++) {
      const credential = await this.#credential(signal);
      try {
        return await this.#upgrade(path, query, protocol, credential, signal);
      } catch (error) {
        if (error instanceof ApiError && error.status === 401 && !renewed && (await this.#source.renew(credential)))
          renewed = true;
        else if (!(error instanceof ConnectionError) || attempt >= 4) throw error;
        await sleep(backoff(attempt), undefined, { signal });
      }
    }
  }

  /** A credential to send with; waiting for it ends with `signal`, while what fetches it goes on for others. */
  #credential(signal: AbortSignal | undefined): Promise<Credential> {
    return abortable(this.#source.current(), signal);
  }

  async #upgrade(
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
        text(response).then(
          (body) => reject(this.#statusError({ status: response.statusCode ?? 500, headers: response.headers, body })),
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

  /** Frees the pooled connections, so that the process can end. */
  async close(): Promise<void> {
    await this.#wire.close();
  }

  async #exchange(request: ApiRequest, credential: Credential): Promise<Answer> {
    const limit = AbortSignal.timeout(request.timeout ?? 15_000);
    const signal = request.signal ? AbortSignal.any([request.signal, limit]) : limit;
    try {
      const response = await this.#send(request, credential, signal);
      return { status: response.statusCode ?? 500, headers: response.headers, body: await text(response) };
    } catch (error) {
      if (limit.aborted && !request.signal?.aborted) throw this.#lost('ETIMEDOUT', 'no answer in time', error);
      throw this.#connectionError(error, request.signal);
    }
  }

  async #send(
    request: ApiRequest,
    credential: Credential,
    signal: AbortSignal | undefined,
  ): Promise<http.IncomingMessage> {
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
    const outgoing = await this.#try(
      () => this.#wire.request(url, { method: request.method, headers, signal }, credential),
      signal,
    );
    const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
      outgoing.once('response', resolve);
      outgoing.once('error', (error) => reject(this.#connectionError(error, signal)));
      outgoing.end(body);
    });
    return abortable(answered, signal);
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

  /** @throws ConnectionError for what is no JSON although it has to be: cut off, or not from an API server at all */
  #parse<T>({ headers, body }: Answer): T {
    const type = String(headers['content-type'] ?? '');
    try {
      return JSON.parse(body) as T;
    } catch (error) {
      const shown = body.replace(/\s+/g, ' ').trim().slice(0, 80);
      throw this.#lost(notJson, `${type || 'without a type'}: ${shown}`, error);
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
    const trust = this.connection.tls?.authoritiesOf;
    return new ConnectionError(this.server.origin, code, message, { cause, of: this.#of, proxy, trust });
  }

  #statusError(answer: Answer): ApiError {
    const retryAfterSeconds = Number(answer.headers['retry-after']) || undefined;
    try {
      const status = JSON.parse(answer.body) as KubeStatus;
      if (status.kind === 'Status') {
        return new ApiError({
          status: answer.status,
          reason: status.reason ?? '',
          message: oneLine(status.message ?? '', this.#of),
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

/** Users of a hosted cluster choose words of its refusals, and a line of theirs is not to look like one of k8sk8s' own. */
function oneLine(message: string, of: ClusterRole): string {
  return of === 'hosted' ? message.replace(/\s*[\r\n]+\s*/g, ' ') : message;
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

/** An answer that goes on without end is one of somebody who stands where the API server should: users of a hosted cluster may serve APIs. */
const longestAnswer = 256 << 20;

async function text(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += (chunk as Buffer).length;
    if (length > longestAnswer) throw new Error(`the answer is longer than ${longestAnswer >> 20} MiB`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}
