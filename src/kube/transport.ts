import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type WebSocket from 'ws';
import { abortable } from './abortable.ts';
import type { Connection, Credential, Impersonation } from './connection.ts';
import { type CredentialSource, sourceOf } from './credential-source.ts';
import { ApiError, type ClusterRole, ConnectionError, notJson } from './errors.ts';
import { type Answer, type ApiRequest, Exchange, longestRefusal, text } from './exchange.ts';

/** The content type of server-side apply: JSON is YAML, so it is sent as such. */
export const applyPatch = 'application/apply-patch+yaml';
/** A server that asks for more patience than this, in milliseconds, is told of instead of waited for. */
const longestWait = 30_000;
/** No try begins later than this many milliseconds after the first. */
const longestTrying = 20_000;

/**
 * One keep-alive connection pool to one API server. It knows HTTP and the Status object, no kinds.
 * Lost connections, answers that are not whole and 429/5xx are tried again; a POST only where the server certainly did
 * not act on it, or storing nothing. So is an apply that was told 409, since it asks for the same whatever came between.
 */
export class Transport {
  readonly connection: Connection;
  readonly #source: CredentialSource;
  readonly #exchange: Exchange;
  readonly #of: ClusterRole;
  readonly #lender?: Transport;
  #answered = false;

  /** @param lender of the credential and of the connections, to the same server; a transport has its own by default */
  constructor(connection: Connection, of: ClusterRole = 'infra', lender?: Transport) {
    this.connection = connection;
    this.#of = of;
    this.#lender = lender;
    this.#source = lender ? lender.#source : sourceOf(connection.credentials);
    this.#exchange = new Exchange(connection, of, lender ? lender.#exchange.links : undefined);
  }

  /**
   * The same server in the name of somebody else, by the connections of this transport, which end when this one is closed. A TLS connection
   * for each request of each look at each plane would take more than the requests do.
   *
   * @param longestAnswer as Connection has it
   */
  as(impersonate: Impersonation, longestAnswer = this.connection.longestAnswer): Transport {
    return new Transport({ ...this.connection, impersonate, longestAnswer }, this.#of, this);
  }

  get server(): URL {
    return this.#exchange.server;
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
        answer = await this.#exchange.request(request, credential);
        this.#answered = true;
        if (answer.status < 400)
          return { status: answer.status, body: request.text ? (answer.body as T) : this.#exchange.parse<T>(answer) };
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
      const error = this.#exchange.statusError(answer);
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
      const response = await this.#exchange.send(request, credential, request.signal, true);
      const status = response.statusCode ?? 500;
      if (status < 400) return response;
      const body = await text(response, longestRefusal);
      if (status === 401 && !renewed && (await this.#source.renew(credential))) continue;
      throw this.#exchange.statusError({ status, headers: response.headers, body });
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
        return await this.#exchange.webSocket(path, query, protocol, credential, signal);
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

  /** Frees the pooled connections, so that the process can end, unless they are somebody else's. */
  async close(): Promise<void> {
    if (!this.#lender) await this.#exchange.close();
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
