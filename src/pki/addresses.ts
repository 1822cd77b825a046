/**
 * The one spelling of an IP address by which two are compared: IPv4 in dotted decimal, IPv6 as RFC 5952 writes it.
 * Brackets around IPv6, as in URLs, are taken off. Undefined when `text` is not an address, a host name for example.
 */
export function canonicalIp(text: string): string | undefined {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (bare.includes(':')) {
    // The platform's URL parser is the IPv6 parser at hand; it also folds ::ffff:10.0.0.1.
    return /^[0-9a-f:.]+$/i.test(bare) && URL.canParse(`http://[${bare}]/`)
      ? new URL(`http://[${bare}]/`).hostname.slice(1, -1)
      : undefined;
  }
  const parts = bare.split('.');
  const valid = parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
  return valid ? bare : undefined;
}

/**
 * The 4 or 16 bytes of an address, in network order.
 *
 * @throws Error when `text` is not an address
 */
export function ipBytes(text: string): Buffer {
  const address = canonicalIp(text);
  if (address === undefined) throw new Error(`not an IP address: ${text}`);
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const groups = (half: string) => (half === '' ? [] : half.split(':').map((group) => Number.parseInt(group, 16)));
  const left = groups(head);
  const right = groups(tail ?? '');
  const all = [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}
