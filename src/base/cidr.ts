import ipaddr from 'ipaddr.js';

/** A network as `10.3.0.0/16` or `fd00:3::/108`, parsed. */
export interface Cidr {
  text: string;
  family: 4 | 6;
  /** Lowest and highest address as numbers. */
  first: bigint;
  last: bigint;
  prefix: number;
}

/** @returns undefined when `text` is not a network in CIDR form; host bits are cleared, as Kubernetes does not accept them */
export function parseCidr(text: string): Cidr | undefined {
  if (!isNetwork(text)) return undefined;
  const [address, prefix] = ipaddr.parseCIDR(text);
  const family = address.kind() === 'ipv4' ? 4 : 6;
  const size = 1n << BigInt((family === 4 ? 32 : 128) - prefix);
  const first = (toNumber(address) / size) * size;
  return { text, family, prefix, first, last: first + size - 1n };
}

/** The networks of a valid `10.3.0.0/16,fd00:3::/108`, the first one first. */
export function networksIn(text: string): [first: Cidr, second?: Cidr] {
  return text.split(',').map((each) => parseCidr(each)!) as [Cidr, Cidr?];
}

export function isIpv4(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text);
}

export function isIp(text: string): boolean {
  return isIpv4(text) || ipaddr.IPv6.isValid(text);
}

export function overlaps(a: Cidr, b: Cidr): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

export function contains(network: Cidr, address: string): boolean {
  if (network.family === 4 ? !isIpv4(address) : !ipaddr.IPv6.isValid(address)) return false;
  const value = toNumber(ipaddr.parse(address));
  return value >= network.first && value <= network.last;
}

/**
 * Ranges, as ipaddr.js names them, that the API server of a plane is never led to: the pod itself, services of a cloud beside
 * its machine, groups, and IPv4 addresses inside of IPv6 addresses.
 */
export const closedRanges = [
  'unspecified',
  'broadcast',
  'multicast',
  'linkLocal',
  'loopback',
  'ipv4Mapped',
  'rfc6145',
  'rfc6052',
  '6to4',
  'teredo',
];

/** IPv4 or IPv6, in CIDR form. */
export function isNetwork(text: string): boolean {
  return ipaddr.IPv4.isValidCIDRFourPartDecimal(text) || ipaddr.IPv6.isValidCIDR(text);
}

/** The range of an address, or of the first address of a network, as ipaddr.js names it; both valid. */
export function rangeOf(text: string): string {
  return ipaddr.parse(text.split('/')[0]!).range();
}

/** The `n`th address of a network: 1 is the API server's service, 10 is kube-dns. Of IPv6 as RFC 5952 spells it, and Kubernetes too. */
export function nthAddress(network: Cidr, n: number): string {
  const value = network.first + BigInt(n);
  const length = network.family === 4 ? 4 : 16;
  const bytes = Array.from({ length }, (_, at) => Number((value >> BigInt(8 * (length - 1 - at))) & 255n));
  return ipaddr.fromByteArray(bytes).toString();
}

function toNumber(address: ipaddr.IPv4 | ipaddr.IPv6): bigint {
  return address.toByteArray().reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
}
