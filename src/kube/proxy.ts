import ipaddr from 'ipaddr.js';
import type { Proxies } from './connection.ts';

/**
 * The proxies that an environment names, by the rules of Go's httpproxy: upper case first, an empty variable is none;
 * ALL_PROXY is not read.
 */
export function proxiesOf(env: Record<string, string | undefined>): Proxies {
  const variable = (name: string) => env[name] || env[name.toLowerCase()] || undefined;
  return { https: variable('HTTPS_PROXY'), http: variable('HTTP_PROXY'), except: variable('NO_PROXY') };
}

/**
 * The proxy that leads to `server`.
 *
 * @returns undefined when it is reached directly
 */
export function proxyFor(server: URL, proxies: Proxies | undefined): URL | undefined {
  if (proxies?.url !== undefined) return new URL(proxies.url);
  const named = parseProxy(server.protocol === 'http:' ? proxies?.http : proxies?.https);
  return named && !isExcepted(server, proxies?.except) ? named : undefined;
}

/** A proxy's URL without its password, for messages. */
export function describeProxy(proxy: URL): string {
  return `${proxy.protocol}//${proxy.host}`;
}

/** `host:port` alone is an http proxy; what is no URL at all is passed over, as Go does. */
function parseProxy(text: string | undefined): URL | undefined {
  if (!text) return undefined;
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  return URL.canParse(url) ? new URL(url) : undefined;
}

function isExcepted(server: URL, except: string | undefined): boolean {
  const host = server.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = server.port || (server.protocol === 'http:' ? '80' : '443');
  const address = parseAddress(host);
  if (host === 'localhost' || address?.range() === 'loopback') return true;
  const rules = (except ?? '').split(',').map((rule) => rule.trim().toLowerCase());
  return rules.some((rule) => rule === '*' || (rule !== '' && ruleMatches(rule, host, port, address)));
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;

function ruleMatches(rule: string, host: string, port: string, address: Address | undefined): boolean {
  if (parseAddress(rule.replace(/\/\d+$/, '')) && ipaddr.isValidCIDR(rule)) {
    const [network, bits] = ipaddr.parseCIDR(rule);
    return address?.kind() === network.kind() && address.match(network, bits);
  }
  if (parseAddress(rule)) return isSame(parseAddress(rule), address);
  const [, bracketed, plain, onlyPort] = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/.exec(rule) ?? [];
  const name = bracketed ?? plain ?? rule;
  if (name === '' || (onlyPort !== undefined && onlyPort !== '' && onlyPort !== port)) return false;
  if (parseAddress(name)) return isSame(parseAddress(name), address);
  if (address) return false;
  // `a.b` stands for itself and all below it, `.a.b` and `*.a.b` for all below it.
  const below = name.replace(/^\*(?=\.)/, '');
  return below.startsWith('.') ? host.endsWith(below) : host === below || host.endsWith(`.${below}`);
}

function isSame(one: Address | undefined, other: Address | undefined): boolean {
  return one?.toNormalizedString() === other?.toNormalizedString();
}

function parseAddress(text: string): Address | undefined {
  // Half an address or a number is a name, not what ipaddr.js makes of it.
  if (!text.includes(':') && !/^\d+\.\d+\.\d+\.\d+$/.test(text)) return undefined;
  return ipaddr.isValid(text) ? ipaddr.process(text) : undefined;
}
