import { isIP } from 'node:net';

/** A file that the gate beside the API server reads again and again: what it lets through, private or not. */
export interface OpeningsFile {
  /** HOST:PORT or CIDR. */
  open: string[];
  /** Discovery documents of token issuers, with the CA that is trusted there: the host of their keys is open as well. */
  discovery: { url: string; ca?: string }[];
}

/** HOST:PORT as an opening has it; an IPv6 address, with or without brackets, is open at all its ports. Pure. */
export function openingOf(host: string, port: number): string {
  // A trailing dot is DNS notation, which the gate takes off what it is asked for too.
  const bare = host.replace(/^\[|\]$|\.$/g, '').toLowerCase();
  return isIP(bare) === 6 ? `${bare}/128` : `${bare}:${port}`;
}
