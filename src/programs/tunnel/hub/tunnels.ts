import { randomUUID } from 'node:crypto';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Connection } from '../../connect-proxy/connection.ts';
import { Refusal } from '../../connect-proxy/refusal.ts';
import { type HubWords, hubPath, sessionOptions, watchOver } from '../session.ts';
import { Holders } from './holders.ts';
import { keepProving, type Prover } from './proof.ts';
import { StreamLimits } from './stream-limits.ts';
import { carriedBy } from './streams.ts';
import type { Tunnel } from './tunnel.ts';

/** Of one node; an agent that comes back is not counted among those that are lost. */
const tunnelsOfNode = 3;
const mostTunnels = 500;
/** That wait for a tunnel to come back, of all addresses: the proxy counts them too. */
const mostWaiting = 32;
/** Somebody whose address was known a moment ago comes back, and whose hub has just started comes soon. */
const absentMilliseconds = 60_000;
const waitMilliseconds = 3000;

/** The tunnels that the workers' agents have opened to this hub, by what the kubelets at their other ends have shown. */
export class Tunnels {
  readonly #prover: Prover;
  readonly #say: (words: string) => void;
  readonly #name: string;
  readonly #start = randomUUID();
  readonly #began = performance.now();
  #hubs: string[];
  readonly #tunnels = new Set<Tunnel>();
  /** When an address was last reached by a tunnel. */
  readonly #lost = new Map<string, number>();
  readonly #waiting = new Set<() => void>();
  readonly #limits = new StreamLimits();

  /**
   * @param name of this hub
   * @param trusted reads the CAs of kubelets' serving certificates, as PEM
   * @param addressesOf asks for those that a Node has now
   */
  constructor(
    name: string,
    trusted: () => string,
    addressesOf: (node: string) => Promise<Set<string>>,
    say: (words: string) => void,
  ) {
    this.#name = name;
    this.#hubs = [name];
    this.#say = say;
    const proven = () => {
      for (const done of [...this.#waiting]) done();
    };
    this.#prover = { trusted, addressesOf, holders: new Holders(addressesOf), say, proven };
  }

  /** Names of the nodes that have a tunnel. */
  get nodes(): string[] {
    return [...new Set([...this.#tunnels].map(({ node }) => node))];
  }

  /** Takes a connection whose client has shown the certificate of `node`, valid until `until`. */
  accept(socket: TLSSocket, node: string, until: number): void {
    const earlier = [...this.#tunnels].filter((each) => each.node === node);
    if (earlier.length >= tunnelsOfNode) earlier[0]!.session.destroy();
    if (this.#tunnels.size >= mostTunnels) {
      this.#say(`node ${node}: ${mostTunnels} tunnels are open already`);
      return void socket.destroy();
    }
    const session = connectHttp2('https://kubelet', { ...sessionOptions, createConnection: () => socket });
    const tunnel: Tunnel = { node, session, until, addresses: new Set(), pending: new Set() };
    this.#tunnels.add(tunnel);
    session.on('error', (error) => this.#say(`node ${node}: ${error.message}`));
    session.once('close', () => this.#forget(tunnel));
    session.once('connect', () => {
      // It may have ended since, and a session that has ended throws.
      if (session.destroyed) return;
      watchOver(session);
      this.#introduce(session);
      this.#say(`node ${node}: there is a tunnel`);
      void keepProving(tunnel, this.#prover);
    });
  }

  /** Tells all agents which hubs there are. */
  hubsAre(hubs: string[]): void {
    const now = [...new Set([this.#name, ...hubs])].sort();
    if (now.join() === this.#hubs.join()) return;
    this.#hubs = now;
    for (const { session } of this.#tunnels) this.#introduce(session);
  }

  /** What let the agents in is not trusted any more as it was: each has to show its certificate again. */
  closeAll(): void {
    for (const { session } of this.#tunnels) session.destroy();
  }

  /**
   * Opens a connection to the kubelet with an address.
   *
   * @returns undefined where no tunnel leads to one
   * @throws Refusal where several do, or where the tunnel does not open
   */
  async open(address: string): Promise<Connection | undefined> {
    let found = this.#leadingTo(address);
    if (found.length === 0 && this.#mayComeBack(address)) found = await this.#waitFor(address);
    const nodes = new Set(found.map(({ node }) => node));
    if (nodes.size > 1)
      throw new Refusal('refused', `the nodes ${[...nodes].sort().join(' and ')} have this address both`);
    // The newest: an agent that was cut off comes back before its old tunnel is known to be dead.
    const tunnel = found.at(-1);
    return tunnel && carriedBy(await this.#limits.open(tunnel));
  }

  #leadingTo(address: string): Tunnel[] {
    return [...this.#tunnels].filter(({ addresses }) => addresses.has(address));
  }

  #mayComeBack(address: string): boolean {
    if (this.#waiting.size >= mostWaiting) return false;
    const now = performance.now();
    return now - this.#began < waitMilliseconds || now - (this.#lost.get(address) ?? -Infinity) < absentMilliseconds;
  }

  async #waitFor(address: string): Promise<Tunnel[]> {
    const end = performance.now() + waitMilliseconds;
    for (;;) {
      const found = this.#leadingTo(address);
      const left = end - performance.now();
      if (found.length > 0 || left <= 0) return found;
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          this.#waiting.delete(done);
          resolve();
        };
        const timer = setTimeout(done, left);
        this.#waiting.add(done);
      });
    }
  }

  #forget(tunnel: Tunnel): void {
    this.#tunnels.delete(tunnel);
    for (const address of tunnel.addresses) this.#lost.set(address, performance.now());
    for (const [address, at] of this.#lost) if (performance.now() - at > absentMilliseconds) this.#lost.delete(address);
    this.#say(`node ${tunnel.node}: the tunnel has ended`);
  }

  #introduce(session: ClientHttp2Session): void {
    // One that is ending takes no stream, and the others have to be told all the same.
    if (session.destroyed || session.closed) return;
    const words: HubWords = { hub: this.#name, start: this.#start, hubs: this.#hubs };
    const stream = session.request({ ':method': 'POST', ':path': hubPath });
    stream.on('error', () => undefined);
    stream.resume();
    stream.end(JSON.stringify(words));
  }
}
