import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { HttpProxyAgent } from 'http-proxy-agent';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { SocksProxyAgent } from 'socks-proxy-agent';
import type { Credential, Proxies, ServerTrust } from './connection.ts';
import { describeProxy, proxyFor } from './proxy.ts';

/** The part of node's https options that says who the server is and who asks. */
export type TlsOptions = Pick<
  tls.ConnectionOptions,
  'secureContext' | 'rejectUnauthorized' | 'servername' | 'checkServerIdentity'
> & { secureEndpoint: boolean };

export interface Pooling {
  keepAlive: boolean;
  maxSockets?: number;
  /** Whether the connections will speak something else than HTTP, so that a proxy has to tunnel them. */
  tunnel?: boolean;
}

/**
 * What a TLS connection to `server` is made with, as Go's TLS does it: every certificate of `trust.authorities` is an
 * anchor, and a name has to stand among the certificate's alternative names.
 *
 * @throws Error when a certificate or key cannot be used
 */
export function tlsOptions(server: URL, trust: ServerTrust = {}, client: Credential['client']): TlsOptions {
  const secureEndpoint = server.protocol === 'https:';
  // What an http: server's proxy is to be known by counts as well.
  if (!secureEndpoint && !trust.authorities) return { secureEndpoint };
  const expected = trust.serverName ?? bare(server.hostname);
  return {
    secureEndpoint,
    secureContext: tls.createSecureContext({
      ...(trust.authorities && { ca: [...trust.authorities] }),
      ...(client && { cert: client.certificate, key: client.key }),
      minVersion: 'TLSv1.2',
      allowPartialTrustChain: true,
    } as tls.SecureContextOptions),
    rejectUnauthorized: trust.insecure !== true,
    // An address is not asked for by name (RFC 6066, section 3).
    servername: net.isIP(expected) ? '' : expected,
    checkServerIdentity: (_, certificate) => checkName(expected, certificate),
  };
}

function checkName(expected: string, certificate: tls.PeerCertificate): Error | undefined {
  if (certificate.subjectaltname) return tls.checkServerIdentity(expected, certificate);
  const message = `the certificate has no alternative names, and ${expected} would have to be one`;
  return Object.assign(new Error(message), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
}

/** An IPv6 address without the brackets that it has in URLs. */
function bare(host: string): string {
  return host.replace(/^\[|\]$/g, '');
}

/** The agent that makes connections to `server`, through the proxy that leads there. Its `destroy` ends all of them. */
export function agentFor(server: URL, proxies: Proxies | undefined, tls: TlsOptions, pooling: Pooling): http.Agent {
  const { tunnel, ...options } = pooling;
  const proxy = proxyFor(server, proxies);
  if (!proxy) return server.protocol === 'http:' ? new http.Agent(options) : new https.Agent({ ...options, ...tls });
  const ending = new AbortController();
  const agent = proxyAgent(proxy, server, { ...options, signal: ending.signal }, tls, tunnel === true);
  // By themselves these tell the protocol by the call stack.
  agent.protocol = server.protocol;
  const destroy = agent.destroy.bind(agent);
  agent.destroy = () => {
    // Those on the way to a proxy are in no pool yet.
    ending.abort();
    destroy();
  };
  return agent;
}

function proxyAgent(
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
    throw new ProxyError(proxy, `its scheme is ${proxy.protocol.slice(0, -1)}, and http, https and socks5 are known`);
  // A proxy behind TLS is trusted as the server is, as Go does it.
  const toProxy = proxy.protocol === 'https:' ? { ...options, ...tlsToProxy(proxy, tls) } : options;
  return server.protocol === 'http:' && !tunnel
    ? new HttpProxyAgent(proxy, toProxy)
    : new HttpsProxyAgent(proxy, toProxy);
}

function tlsToProxy(proxy: URL, { secureContext, rejectUnauthorized, servername }: TlsOptions): tls.ConnectionOptions {
  const name = servername || bare(proxy.hostname);
  return {
    secureContext,
    rejectUnauthorized,
    servername: net.isIP(name) ? '' : name,
    checkServerIdentity: (_, certificate) => checkName(name, certificate),
  };
}

/** A proxy that does not let through. */
class ProxyError extends Error {
  readonly proxy: string;

  constructor(proxy: URL, message: string) {
    super(message);
    this.name = 'ProxyError';
    this.proxy = describeProxy(proxy);
  }
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
    request.destroy(new ProxyError(proxy, hint));
  });
}
