import http from 'node:http';
import https from 'node:https';
import type { Proxies } from './connection.ts';
import { proxyFor } from './proxy.ts';
import type { TlsOptions } from './tls.ts';

export interface Pooling {
  keepAlive: boolean;
  maxSockets?: number;
  /** Milliseconds after which a connection that nobody uses is ended. */
  timeout?: number;
  /** Whether the connections will speak something else than HTTP, so that a proxy has to tunnel them. */
  tunnel?: boolean;
}

/** The agent that makes connections to `server`, through the proxy that leads there. Its `destroy` ends all of them. */
export async function agentFor(
  server: URL,
  proxies: Proxies | undefined,
  tls: TlsOptions,
  pooling: Pooling,
): Promise<http.Agent> {
  const { tunnel, ...options } = pooling;
  const proxy = proxyFor(server, proxies);
  if (!proxy) return server.protocol === 'http:' ? new http.Agent(options) : new https.Agent({ ...options, ...tls });
  // Few need them, and they take a tenth of the time that a command takes to start.
  const { proxyAgent } = await import('./proxy-agents.ts');
  const ending = new AbortController();
  const agent = proxyAgent(proxy, server, { ...options, signal: ending.signal }, tls, tunnel === true);
  // By themselves these tell the protocol by the call stack.
  agent.protocol = server.protocol;
  // A check that only requests bring along would keep Node.js, since 22, from using a connection for a second request.
  const { options: pool } = agent as unknown as { options: TlsOptions };
  if (tls.checkServerIdentity) pool.checkServerIdentity = tls.checkServerIdentity;
  const destroy = agent.destroy.bind(agent);
  agent.destroy = () => {
    // Those on the way to a proxy are in no pool yet.
    ending.abort();
    destroy();
  };
  return agent;
}

/**
 * Makes a request fail when its proxy refuses to tunnel it. The agent would hand the proxy's answer on as the server's.
 */
export function watchTunnel(request: http.ClientRequest, server: URL, proxies: Proxies | undefined): void {
  const proxy = proxyFor(server, proxies);
  if (!proxy) return;
  request.once('proxyConnect', ({ statusCode }: { statusCode?: number }) => {
    if (statusCode === undefined || statusCode === 200) return;
    const hint = statusCode === 407 ? 'it wants a user and a password' : `it answered ${statusCode} to CONNECT`;
    request.destroy(new Error(hint));
  });
}
