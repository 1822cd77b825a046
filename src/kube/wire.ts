import http from 'node:http';
import https from 'node:https';
import WebSocket from 'ws';
import { agentFor, watchTunnel } from './agents.ts';
import { keepAlive } from './alive.ts';
import type { Connection, Credential, Impersonation } from './connection.ts';
import { DialledAgent } from './dialled-agent.ts';
import { describeProxy, proxyFor } from './proxy.ts';
import { type TlsOptions, tlsOptions } from './tls.ts';

/** Connections of one client certificate: the pool for requests, and what WebSockets are opened by. */
interface Link {
  tls: TlsOptions;
  pool: http.Agent;
  /** A connection of the pool would be lost to it once it speaks another protocol. */
  single: http.Agent;
}

/** Opens requests and WebSockets to one server: through its proxy, over one pool as long as the client certificate stays the same. */
export class Wire {
  readonly #connection: Connection;
  readonly #server: URL;
  readonly #headers: http.OutgoingHttpHeaders;
  readonly #links = new Map<Credential['client'], Promise<Link>>();
  #isClosed = false;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#server = new URL(connection.server);
    this.#headers = { 'User-Agent': 'k8sk8s', ...impersonationHeaders(connection.impersonate) };
  }

  /** The proxy between here and the server, for messages. */
  get proxy(): string | undefined {
    const proxy = this.#connection.dial ? undefined : proxyFor(this.#server, this.#connection.proxies);
    return proxy && describeProxy(proxy);
  }

  /** The caller ends the request. @throws Error when a certificate, a key or a header cannot be used */
  async request(
    url: URL,
    options: { method: string; headers: http.OutgoingHttpHeaders; signal?: AbortSignal },
    credential: Credential,
  ): Promise<http.ClientRequest> {
    const { tls, pool } = await this.#link(credential.client);
    const client = url.protocol === 'http:' ? http : https;
    const request = client.request(url, {
      ...tls,
      ...options,
      agent: pool,
      headers: { ...this.#headers, ...options.headers, ...authorization(credential) },
    });
    if (!this.#connection.dial) watchTunnel(request, this.#server, this.#connection.proxies);
    return request;
  }

  async webSocket(url: URL, protocol: string, credential: Credential): Promise<WebSocket> {
    const { tls, single } = await this.#link(credential.client);
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
    this.#isClosed = true;
    for (const link of await Promise.allSettled(this.#links.values())) if (link.status === 'fulfilled') end(link.value);
  }

  #link(client: Credential['client']): Promise<Link> {
    const known = this.#links.get(client);
    if (known) return known;
    // Requests that are under way go on with the certificate that they began with.
    for (const link of this.#links.values()) void link.then(endIdle, () => undefined);
    const link = this.#open(client);
    this.#links.set(client, link);
    return link;
  }

  async #open(client: Credential['client']): Promise<Link> {
    const tls = tlsOptions(this.#server, this.#connection.tls, client);
    const agent = (pooling: Parameters<typeof agentFor>[3]) =>
      this.#connection.dial
        ? new DialledAgent(this.#connection.dial, pooling, tls)
        : agentFor(this.#server, this.#connection.proxies, tls, pooling);
    const [pool, single] = await Promise.all([
      agent({ keepAlive: true, maxSockets: 24 }),
      agent({ keepAlive: false, tunnel: true }),
    ]);
    const link = { tls, pool, single };
    if (this.#isClosed) end(link);
    return link;
  }
}

function end({ pool, single }: Link): void {
  pool.destroy();
  single.destroy();
}

function endIdle({ pool }: Link): void {
  for (const idle of Object.values(pool.freeSockets).flat()) idle?.destroy();
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
