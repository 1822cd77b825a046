import type { X509Certificate } from 'node:crypto';
import https from 'node:https';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { abortable } from './abortable.ts';
import { agentFor, watchTunnel } from './agents.ts';
import type { Connection, Proxies } from './connection.ts';
import { DialledAgent } from './dialled-agent.ts';
import { tlsOptions } from './tls.ts';

export interface HandshakeOptions {
  host: string;
  port: number;
  /** PEM; the certificate has to be signed by it, whatever name it bears. Without it any certificate is taken. */
  authority?: string;
  /** The way there, as for a connection. */
  proxies?: Proxies;
  dial?: Connection['dial'];
  /** Milliseconds. */
  patience: number;
}

/**
 * Makes a TLS connection, asking for `host` by SNI, and ends it: nothing else is sent.
 *
 * @returns the certificate that was shown
 * @throws Error with node's code, ETIMEDOUT included, or ProxyError
 */
export async function handshake({
  host,
  port,
  authority,
  proxies,
  dial,
  patience,
}: HandshakeOptions): Promise<X509Certificate> {
  const server = new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`);
  const trust = authority === undefined ? { insecure: true } : { authorities: [authority] };
  const tls = { ...tlsOptions(server, trust, undefined), checkServerIdentity: () => undefined };
  const pooling = { keepAlive: false, tunnel: true };
  const agent = dial ? new DialledAgent(dial, pooling, tls) : await agentFor(server, proxies, tls, pooling);
  const limit = AbortSignal.timeout(patience);
  // A request that is never ended sends nothing.
  const request = https.request(server, { ...tls, agent, signal: limit });
  if (!dial) watchTunnel(request, server, proxies);
  const shown = new Promise<X509Certificate>((resolve, reject) => {
    request.once('error', reject);
    request.once('socket', (socket: Socket) => {
      if (!(socket instanceof TLSSocket)) return;
      socket.once('secureConnect', () => resolve(socket.getPeerX509Certificate()!));
      socket.once('error', reject);
    });
  });
  return abortable(shown, limit)
    .catch((error) => {
      throw limit.aborted ? timeoutError() : error;
    })
    .finally(() => {
      request.destroy();
      agent.destroy();
    });
}

function timeoutError(): Error {
  return Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' });
}
