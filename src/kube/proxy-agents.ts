import type http from 'node:http';
import net from 'node:net';
import type tls from 'node:tls';
import { HttpProxyAgent } from 'http-proxy-agent';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { SocksProxyAgent } from 'socks-proxy-agent';
import { bareHost, checkName, type TlsOptions } from './tls.ts';

/**
 * The agent that goes through `proxy`.
 *
 * @param tunnel also for an http: server, to which the proxy would forward requests otherwise
 * @throws Error for a proxy of another kind
 */
export function proxyAgent(
  proxy: URL,
  server: URL,
  options: { keepAlive: boolean; maxSockets?: number; signal: AbortSignal },
  tls: TlsOptions,
  tunnel: boolean,
): http.Agent & { protocol: string } {
  if (proxy.protocol === 'socks5:' || proxy.protocol === 'socks5h:') {
    const { signal, ...pool } = options;
    // With socks5: the agent would resolve the server's name here; Go lets the proxy do that.
    const url = new URL(proxy.href.replace(/^socks5h?:/, 'socks5h:'));
    return new SocksProxyAgent(url, { ...pool, socketOptions: { signal } as object });
  }
  if (proxy.protocol !== 'http:' && proxy.protocol !== 'https:')
    throw new Error(`its scheme is ${proxy.protocol.slice(0, -1)}, and http, https and socks5 are known`);
  // A proxy behind TLS is trusted as the server is, as Go does it.
  const toProxy = proxy.protocol === 'https:' ? { ...options, ...tlsToProxy(proxy, tls) } : options;
  return server.protocol === 'http:' && !tunnel
    ? new HttpProxyAgent(proxy, toProxy)
    : new HttpsProxyAgent(proxy, toProxy);
}

function tlsToProxy(proxy: URL, { secureContext, rejectUnauthorized, chosenName }: TlsOptions): tls.ConnectionOptions {
  const name = chosenName ?? bareHost(proxy.hostname);
  return {
    secureContext,
    rejectUnauthorized,
    servername: net.isIP(name) ? '' : name,
    checkServerIdentity: (_, certificate) => checkName(name, certificate),
  };
}
