import http from 'node:http';
import https from 'node:https';
import WebSocket from 'ws';
import { watchTunnel } from './agents.ts';
import { keepAlive } from './alive.ts';
import type { Connection, Credential, Impersonation } from './connection.ts';
import { Links } from './links.ts';
import type { Incoming } from './multiplexed.ts';
import { describeProxy, proxyFor } from './proxy.ts';

/** Opens requests and WebSockets to one server, in somebody's name. */
export class Wire {
  readonly #connection: Connection;
  readonly #server: URL;
  readonly #headers: http.OutgoingHttpHeaders;
  readonly #links: Links;

  /** @param links those of another one to the same server; whoever made them closes them */
  constructor(connection: Connection, links = new Links(connection)) {
    this.#connection = connection;
    this.#server = new URL(connection.server);
    this.#links = links;
    this.#headers = { 'User-Agent': 'k8sk8s', ...impersonationHeaders(connection.impersonate) };
  }

  /** The proxy between here and the server, for messages. */
  get proxy(): string | undefined {
    const proxy = this.#connection.dial ? undefined : proxyFor(this.#server, this.#connection.proxies);
    return proxy && describeProxy(proxy);
  }

  get links(): Links {
    return this.#links;
  }

  /**
   * The caller ends the request.
   *
   * @param options `lasts`: its answer comes as long as the caller wants, which no other request is to wait for
   * @throws Error when a certificate, a key or a header cannot be used
   */
  async request(
    url: URL,
    { lasts, ...options }: { method: string; headers: http.OutgoingHttpHeaders; signal?: AbortSignal; lasts?: boolean },
    credential: Credential,
  ): Promise<http.ClientRequest> {
    const { tls, pool, lasting } = await this.#links.of(credential.client);
    const client = url.protocol === 'http:' ? http : https;
    const request = client.request(url, {
      ...tls,
      ...options,
      agent: lasts ? lasting : pool,
      headers: { ...this.#headers, ...options.headers, ...authorization(credential) },
    });
    if (!this.#connection.dial) watchTunnel(request, this.#server, this.#connection.proxies);
    return request;
  }

  /**
   * What is asked for with GET, where its answer lasts, by a connection that it shares with others of its kind.
   *
   * @returns undefined where that is not possible: then `request` asks for it
   */
  async multiplexed(
    url: URL,
    { headers, signal }: { headers: http.OutgoingHttpHeaders; signal?: AbortSignal },
    credential: Credential,
  ): Promise<Incoming | undefined> {
    const { multiplexed } = await this.#links.of(credential.client);
    return multiplexed?.get(url, { ...this.#headers, ...headers, ...authorization(credential) }, signal);
  }

  async webSocket(url: URL, protocol: string, credential: Credential): Promise<WebSocket> {
    const { tls, single } = await this.#links.of(credential.client);
    const target = new URL(url);
    target.protocol = url.protocol === 'http:' ? 'ws:' : 'wss:';
    const socket = new WebSocket(target, protocol, {
      ...tls,
      agent: single,
      headers: { ...this.#headers, ...authorization(credential) } as Record<string, string>,
      perMessageDeflate: false,
      finishRequest: (request) => {
        if (!this.#connection.dial) watchTunnel(request, this.#server, this.#connection.proxies);
        request.end();
      },
    });
    keepAlive(socket);
    return socket;
  }

  /** Ends all connections, those under way to a proxy as well. */
  async close(): Promise<void> {
    await this.#links.close();
  }
}

function authorization({ authorization }: Credential): http.OutgoingHttpHeaders {
  return authorization === undefined ? {} : { Authorization: headerValue(authorization) };
}

function impersonationHeaders(impersonation: Impersonation | undefined): http.OutgoingHttpHeaders {
  if (!impersonation) return {};
  const { user, uid, groups = [], extra = {} } = impersonation;
  return {
    'Impersonate-User': headerValue(user),
    ...(uid && { 'Impersonate-Uid': headerValue(uid) }),
    ...(groups.length > 0 && { 'Impersonate-Group': groups.map(headerValue) }),
    ...Object.fromEntries(
      Object.entries(extra)
        .filter(([, values]) => values.length > 0)
        .map(([key, values]) => [`Impersonate-Extra-${headerKey(key)}`, values.map(headerValue)]),
    ),
  };
}

/** Letters beyond Latin-1 are sent as their UTF-8 bytes, as other clients do. */
function headerValue(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** What may not stand in a header's name is written as %XX (RFC 3986), as the API server reads it. */
function headerKey(key: string): string {
  const escaped = (byte: number) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  return [...Buffer.from(key, 'utf8')]
    .map((byte) =>
      /[!#$&'*+.^_`|~0-9A-Za-z-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : escaped(byte),
    )
    .join('');
}
