import { isIPv4, isIPv6 } from 'node:net';

/**
 * One spelling for each IP address: dotted, or RFC 5952. An IPv4 address inside IPv6 (::ffff:10.0.0.1) is the IPv4
 * address, since Go puts it so into a certificate. Undefined for what is no address; also for one with a zone, which no
 * certificate can hold.
 */
export function canonicalAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const canonical = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical);
  if (!mapped) return canonical;
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** One spelling for each host name: lower case, without the dot of the root. */
export function canonicalName(text: string): string {
  return text.toLowerCase().replace(/\.$/, '');
}

/** Whether a canonical name names one host: a wildcard would also be its neighbours'. */
export function isHostName(name: string): boolean {
  return /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/.test(name);
}
