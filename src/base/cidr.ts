import ipaddr from 'ipaddr.js';

/** An IPv4 network as `10.3.0.0/16`, parsed. */
export interface Cidr {
  text: string;
  /** Lowest and highest address as unsigned 32-bit numbers. */
  first: number;
  last: number;
  prefix: number;
}

/** @returns undefined when `text` is not an IPv4 network in CIDR form; host bits are cleared, as Kubernetes does not accept them */
export function parseCidr(text: string): Cidr | undefined {
  if (!ipaddr.IPv4.isValidCIDRFourPartDecimal(text)) return undefined;
  const [, prefix] = ipaddr.IPv4.parseCIDR(text);
  return {
    text,
    prefix,
    first: toNumber(ipaddr.IPv4.networkAddressFromCIDR(text)),
    last: toNumber(ipaddr.IPv4.broadcastAddressFromCIDR(text)),
  };
}

export function isIpv4(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text);
}

export function isIp(text: string): boolean {
  return isIpv4(text) || ipaddr.IPv6.isValid(text);
}

export function overlaps(a: Cidr, b: Cidr): boolean {
  return a.first <= b.last && b.first <= a.last;
}

export function contains(network: Cidr, address: string): boolean {
  if (!isIpv4(address)) return false;
  const value = toNumber(ipaddr.IPv4.parse(address));
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

/** The `n`th address of a network: 1 is the API server's service, 10 is kube-dns. */
export function nthAddress(network: Cidr, n: number): string {
  const value = network.first + n;
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255].join('.');
}

function toNumber(address: ipaddr.IPv4): number {
  return address.octets.reduce((sum, octet) => sum * 256 + octet, 0);
}
