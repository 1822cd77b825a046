import http from 'node:http';
import https from 'node:https';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../errors.ts';
import { ApiError, ConnectionError } from './errors.ts';

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
  /** Times to try again after 429, 5xx or a lost connection; default 4, 0 for probes. */
  retries?: number;
}

/** Everything node's https client needs to speak to one server, made anew when credentials have to be refreshed. */
export type Credentials = (refresh: boolean) => Promise<https.RequestOptions>;

interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
}

/**
 * One keep-alive connection pool to one API server. It knows HTTP and the Status object, no kinds.
 * Lost connections and 429/5xx answers are tried again; a POST only where the server certainly did not act on it.
 */
export class Transport {
  readonly server: URL;
  readonly #credentials: Credentials;
  #options: Promise<https.RequestOptions> | undefined;

  constructor(server: string, credentials: Credentials) {
    this.server = new URL(server);
    this.#credentials = credentials;
  }

  /** @throws ApiError for an answer of 400 and above, ConnectionError for none */
  async request<T>(request: ApiRequest): Promise<{ status: number; body: T }> {
    const retries = request.retries ?? 4;
    for (let attempt = 0; ; attempt++) {
      let answer: Answer;
      try {
        answer = await this.#exchange(request);
      } catch (error) {
        if (!(error instanceof ConnectionError) || attempt >= retries || !mayRepeat(request, error.code)) throw error;
        await sleep(backoff(attempt), undefined, { signal: request.signal });
        continue;
      }
      if (answer.status < 400) return { status: answer.status, body: parse<T>(answer) };
      if (answer.status === 401 && attempt === 0) {
        this.#options = this.#credentials(true);
        continue;
      }
      const error = statusError(answer);
      const again = answer.status === 429 || (answer.status >= 500 && request.method !== 'POST');
      if (!again || attempt >= retries) throw error;
      await sleep(
        error.retryAfterSeconds === undefined ? backoff(attempt) : error.retryAfterSeconds * 1000,
        undefined,
        { signal: request.signal },
      );
    }
  }

  /** The answer's body as it arrives: watches and followed logs. The caller ends it through `signal`. */
  async stream(request: ApiRequest): Promise<Readable> {
    const response = await this.#send(request);
    if ((response.statusCode ?? 500) < 400) return response;
    throw statusError({ status: response.statusCode ?? 500, headers: response.headers, body: await text(response) });
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
        throw new ConnectionError(this.server.origin, 'ETIMEDOUT', 'no answer in time', error);
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

  #connectionError(error: unknown, signal: AbortSignal | undefined): unknown {
    // Credentials that cannot be had explain themselves.
    if (error instanceof ConnectionError || error instanceof UserError || signal?.aborted) return error;
    const code = (error as NodeJS.ErrnoException).code ?? '';
    return new ConnectionError(this.server.origin, code, error instanceof Error ? error.message : String(error), error);
  }
}

function mayRepeat(request: ApiRequest, code: string): boolean {
  if (code === 'ECONNREFUSED') return true;
  return request.method !== 'POST' && ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'HPE_INVALID_EOF_STATE'].includes(code);
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

function parse<T>(answer: Answer): T {
  const isJson = String(answer.headers['content-type'] ?? '').includes('json');
  return (isJson ? JSON.parse(answer.body) : answer.body) as T;
}

function statusError(answer: Answer): ApiError {
  const retryAfterSeconds = Number(answer.headers['retry-after']) || undefined;
  try {
    const status = JSON.parse(answer.body) as {
      kind?: string;
      reason?: string;
      message?: string;
      details?: { causes?: { field?: string; message?: string }[] };
    };
    if (status.kind === 'Status') {
      return new ApiError({
        status: answer.status,
        reason: status.reason ?? '',
        message: status.message ?? '',
        causes: status.details?.causes,
        retryAfterSeconds,
      });
    }
  } catch {
    // Not from an API server; the text below is all there is.
  }
  return new ApiError({
    status: answer.status,
    reason: '',
    message: answer.body.trim().slice(0, 300),
    retryAfterSeconds,
  });
}
