import type http from 'node:http';
import { agentFor, type Pooling } from './agents.ts';
import type { Connection, Credential } from './connection.ts';
import { DialledAgent } from './dialled-agent.ts';
import { Multiplexed } from './multiplexed.ts';
import { proxyFor } from './proxy.ts';
import { type TlsOptions, tlsOptions } from './tls.ts';

/** Connections of one client certificate. */
interface Link {
  tls: TlsOptions;
  /** For requests. */
  pool: http.Agent;
  /** For watches and followed logs: each keeps its connection, and the pool is for so many at a time. */
  lasting: http.Agent;
  /** For the same, where no proxy is between. */
  multiplexed?: Multiplexed;
  /** For WebSockets: a connection of the pool would be lost to it once it speaks another protocol. */
  single: http.Agent;
}

/**
 * Milliseconds for which a connection of the pool waits for another request. A program that runs for long would keep those of its busiest
 * moment, and an API server ends them after 90 s, in which moment a request may be lost.
 */
const idleTime = 30_000;

/** The connections to one server, through its proxy: the same pool as long as the client certificate stays the same. */
export class Links {
  readonly #connection: Connection;
  readonly #server: URL;
  readonly #links = new Map<Credential['client'], Promise<Link>>();
  #isClosed = false;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#server = new URL(connection.server);
  }

  /** @throws Error when a certificate or key cannot be used */
  of(client: Credential['client']): Promise<Link> {
    const known = this.#links.get(client);
    if (known) return known;
    // Requests that are under way go on with the certificate that they began with.
    for (const link of this.#links.values()) void link.then(endIdle, () => undefined);
    const link = this.#open(client);
    this.#links.set(client, link);
    return link;
  }

  /** Ends all connections, those under way to a proxy as well. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const link of await Promise.allSettled(this.#links.values())) if (link.status === 'fulfilled') end(link.value);
  }

  async #open(client: Credential['client']): Promise<Link> {
    const tls = tlsOptions(this.#server, this.#connection.tls, client);
    const agent = (pooling: Pooling) =>
      this.#connection.dial
        ? new DialledAgent(this.#connection.dial, pooling, tls)
        : agentFor(this.#server, this.#connection.proxies, tls, pooling);
    const [pool, lasting, single] = await Promise.all([
      agent({ keepAlive: true, maxSockets: 24, timeout: idleTime }),
      agent({ keepAlive: true }),
      agent({ keepAlive: false, tunnel: true }),
    ]);
    const link = { tls, pool, lasting, single, multiplexed: this.#multiplexed(tls) };
    if (this.#isClosed) end(link);
    return link;
  }

  #multiplexed(tls: TlsOptions): Multiplexed | undefined {
    const { dial, proxies } = this.#connection;
    const isDirect = tls.secureEndpoint && !dial && !proxyFor(this.#server, proxies);
    return isDirect ? new Multiplexed(this.#server, tls) : undefined;
  }
}

function end({ pool, lasting, single, multiplexed }: Link): void {
  for (const agent of [pool, lasting, single]) agent.destroy();
  multiplexed?.close();
}

function endIdle({ pool, lasting }: Link): void {
  for (const { freeSockets } of [pool, lasting]) for (const idle of Object.values(freeSockets).flat()) idle?.destroy();
}
