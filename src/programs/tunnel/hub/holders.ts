/** Addresses that are remembered; what was shown longest ago is forgotten first. */
const mostRemembered = 10_000;

/** By which certificate a kubelet has proven an address. */
interface Holder {
  node: string;
  /** Milliseconds since 1970: from when on the certificate is valid. */
  since: number;
}

/**
 * Remembers whose kubelet has shown the newest certificate for an address, also while its tunnel is away. A kubelet gets one only while no
 * other Node has the address (src/programs/approver/decide.ts), but it writes the addresses of its own Node: without this, whoever had
 * the address before, and still has the old certificate, would take it back meanwhile.
 */
export class Holders {
  readonly #addressesOf: (node: string) => Promise<Set<string>>;
  readonly #newest = new Map<string, Holder>();

  /** @param addressesOf asks for those that a Node has now */
  constructor(addressesOf: (node: string) => Promise<Set<string>>) {
    this.#addressesOf = addressesOf;
  }

  /**
   * Who keeps a node from an address that its kubelet has shown by a certificate; undefined where the address is the node's from now on.
   *
   * @throws Refusal where the API server does not say which addresses the other one has
   */
  async keptBy(address: string, shown: Holder): Promise<string | undefined> {
    for (;;) {
      const known = this.#newest.get(address);
      if (known === undefined || known.node === shown.node || shown.since >= known.since) break;
      if ((await this.#addressesOf(known.node)).has(address)) return known.node;
      // Another one may have shown it meanwhile.
      if (this.#newest.get(address) === known) break;
    }
    this.#newest.delete(address);
    this.#newest.set(address, shown);
    for (const oldest of this.#newest.keys()) {
      if (this.#newest.size <= mostRemembered) break;
      this.#newest.delete(oldest);
    }
    return undefined;
  }
}
