import * as z from 'zod';
import { closedRanges, isIp, isIpv4, isNetwork, rangeOf } from '../../base/cidr.ts';
import { checked, matches } from './checked.ts';

export const dnsName = '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?';

/** hostProblem in CEL. */
const isHost = (value: string) =>
  `(${matches(`^${dnsName}([.]${dnsName})*$`, value)} && (!${matches('^[0-9.]+$', value)} || isIP(${value})))`;

const isAddress = (value: string) => `(isIP(${value}) && ip(${value}).family() == 4)`;

/** That a string ends in a port. */
const isPort = (value: string) => `(${matches('^[0-9]{1,5}$', value)} && int(${value}) >= 1 && int(${value}) <= 65535)`;

export const hostName = checked(hostProblem, {
  maxLength: 253,
  rule: isHost('self'),
  message:
    'has to be a host name such as k.example.com, or an IPv4 address: lower case, without scheme, port, path or wildcard',
});
export const hostNameOrAddress = checked((value) => (isIp(value) ? undefined : hostProblem(value)), {
  maxLength: 253,
  rule: `isIP(self) || ${isHost('self')}`,
  message: 'has to be a host name or an IP address',
});
export const ipv4Address = checked((value) => (isIpv4(value) ? undefined : 'is not an IPv4 address'), {
  maxLength: 15,
  rule: isAddress('self'),
  message: 'has to be an IPv4 address',
});

/** HOST:PORT, both needed. */
export const hostAndPort = checked(
  (value) => {
    const [, host, port] = /^([^:/\s]+):(\d+)$/.exec(value) ?? [];
    if (host === undefined || Number(port) < 1 || Number(port) > 65535)
      return 'has to be HOST:PORT, such as k.example.com:8132';
    return hostProblem(host);
  },
  {
    maxLength: 259,
    rule: `self.split(':').size() == 2 && ${isHost("self.split(':')[0]")} && ${isPort("self.split(':')[1]")}`,
    message: 'has to be HOST:PORT, such as k.example.com:8132',
  },
);

/** CIDR, HOST or HOST:PORT, that the gate beside the API server lets through. */
export const opening = checked(
  (value) => {
    const [, host = value, port] = /^([^:/]*):(\d+)$/.exec(value) ?? [];
    if (value.includes('/') && !isNetwork(value)) return 'is not a network in CIDR form such as 10.20.0.0/16';
    if (!value.includes('/') && isIp(value) && !isIpv4(value)) return `is one IPv6 address; write ${value}/128`;
    if (port !== undefined && (Number(port) < 1 || Number(port) > 65535))
      return 'has to end with a port from 1 to 65535';
    const address = value.includes('/') || isIpv4(host) ? host : undefined;
    if (address === undefined) return hostProblem(host);
    const wide = address.endsWith('/0');
    return !wide && closedRanges.includes(rangeOf(address))
      ? 'is an address that no pod of the plane may be led to: its own, or of its machine alone'
      : undefined;
  },
  {
    maxLength: 259,
    rule: [
      "self.contains('/')",
      "? isCIDR(self) && (self.endsWith('/0') || cidr(self).ip().isGlobalUnicast())",
      `: self.split(':').size() <= 2 && (self.split(':').size() == 1 || ${isPort("self.split(':')[1]")})`,
      `&& ${isHost("self.split(':')[0]")}`,
      "&& (!isIP(self.split(':')[0]) || ip(self.split(':')[0]).isGlobalUnicast())",
    ].join(' '),
    message: 'has to be a CIDR, HOST or HOST:PORT, and no address of the pod or of its machine alone',
  },
);

export const port = portFrom(1);
export const nodePort = portFrom(1024);

function portFrom(minimum: number) {
  const words = `has to be ${minimum} to 65535`;
  return z.coerce.number().int().min(minimum, words).max(65535, words);
}

const dnsLabel = new RegExp(`^${dnsName}$`);

function hostProblem(host: string): string | undefined {
  if (host === '') return 'is empty: give the name by which workers and kubectl will reach the API server';
  if (/\s/.test(host)) return 'contains a space';
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(host))
    return `is a URL; give only the host name: ${URL.canParse(host) ? new URL(host).hostname : 'k.example.com'}`;
  if (host.includes('*')) return 'is a wildcard; give one name that this plane alone answers to';
  if (ipv6(host)) return 'is an IPv6 address; only names and IPv4 addresses are supported';
  if (host.includes(':')) return `names a port; give it with -p: -h ${host.split(':')[0]} -p ${host.split(':')[1]}`;
  if (host.includes('/')) return 'contains a slash; give only the host name';
  if (isIpv4(host)) return undefined;
  if (/^[\d.]+$/.test(host)) return 'is neither an IPv4 address nor a host name';
  if (host.endsWith('.')) return `ends with a dot, which certificates cannot carry; write ${host.replace(/\.+$/, '')}`;
  if (host.length > 253) return `is ${host.length} characters long; a host name has at most 253`;
  const bad = host.split('.').find((label) => !dnsLabel.test(label));
  if (bad !== undefined)
    return bad.length > 63
      ? `has a part of ${bad.length} characters; each has at most 63`
      : `has a part that no host name may have: "${bad}" (lower-case letters, digits and - inside)`;
  return undefined;
}

function ipv6(text: string): boolean {
  const bare = text.replace(/^\[|\]$/g, '');
  return bare.includes(':') && isIp(bare);
}
