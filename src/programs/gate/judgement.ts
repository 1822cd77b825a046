import ipaddr from 'ipaddr.js';
import { closedRanges } from '../../base/cidr.ts';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Network = [Address, number];

/** What a judgement knows of the infra cluster and of its operator's wishes. */
export interface Rules {
  /** Networks in CIDR form that are closed, whatever range they are of. */
  closed: string[];
  /** `CIDR`, `HOST` or `HOST:PORT`, as --allow-egress takes them; a HOST is a name or an IPv4 address. */
  open: string[];
}

interface Opening {
  network?: Network;
  /** Lower case. */
  host?: string;
  /** Any when left out. */
  port?: number;
}

/** Ranges that no opening opens. */
const never = new Set(closedRanges);
/** All that is given out for the Internet (https://www.iana.org/assignments/ipv6-address-space). */
const globalIpv6: Network = [ipaddr.IPv6.parse('2000::'), 3];

/** For whoever reads the log because something of theirs is refused. */
const unopened = ", and the plane's allowEgress does not open it";

/** Which addresses outside of the hosted cluster its API server may be led to. */
export class Judgement {
  readonly #closed: Network[];
  readonly #open: Opening[];

  constructor({ closed, open }: Rules) {
    this.#closed = closed.map((network) => ipaddr.parseCIDR(network));
    this.#open = open.map(parseOpening);
  }

  /**
   * Why an address may not be dialled; undefined when it may. Pure.
   *
   * @param address IPv4 in four decimal parts or IPv6
   * @param asked the host by which the address was found: a name, or the address itself
   */
  refuses(address: string, asked: string, port: number): string | undefined {
    if (!ipaddr.IPv4.isValidFourPartDecimal(address) && !ipaddr.IPv6.isValid(address)) return 'no address';
    const parsed = ipaddr.parse(address);
    const range = parsed.range();
    if (never.has(range)) return range;
    if (this.#open.some((opening) => opens(opening, parsed, asked, port))) return undefined;
    if (this.#closed.some((network) => inside(network, parsed))) return `a network of the infra cluster${unopened}`;
    if (range !== 'unicast') return `${range}${unopened}`;
    return parsed.kind() === 'ipv6' && !inside(globalIpv6, parsed) ? `not given out${unopened}` : undefined;
  }
}

function opens(opening: Opening, address: Address, asked: string, port: number): boolean {
  if (opening.port !== undefined && opening.port !== port) return false;
  if (opening.network) return inside(opening.network, address);
  return asked.toLowerCase().replace(/\.$/, '') === opening.host;
}

function inside([first, length]: Network, address: Address): boolean {
  return first.kind() === address.kind() && address.match(first, length);
}

function parseOpening(text: string): Opening {
  if (text.includes('/')) return { network: ipaddr.parseCIDR(text) };
  const [host = '', digits] = text.split(':');
  const port = digits === undefined ? undefined : Number(digits);
  if (!ipaddr.IPv4.isValidFourPartDecimal(host)) return { host: host.toLowerCase(), port };
  return { network: [ipaddr.IPv4.parse(host), 32], port };
}
