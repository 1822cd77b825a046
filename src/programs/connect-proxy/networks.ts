import { BlockList, isIP } from 'node:net';

/** Networks of both families. A BlockList alone takes an IPv4 address for an IPv6 one, in which it is in `::/8`. */
export class Networks {
  readonly #lists = { 4: new BlockList(), 6: new BlockList() };

  /** @param cidrs what is no network is left out */
  constructor(cidrs: string[] = []) {
    for (const cidr of cidrs) {
      const [network = '', prefix] = cidr.split('/');
      const family = isIP(network);
      if (family === 4) this.#lists[4].addSubnet(network, Number(prefix), 'ipv4');
      if (family === 6) this.#lists[6].addSubnet(network, Number(prefix), 'ipv6');
    }
  }

  /** Whether an address is in one of them. */
  have(address: string): boolean {
    return isIP(address) === 6 ? this.#lists[6].check(address, 'ipv6') : this.#lists[4].check(address, 'ipv4');
  }
}
