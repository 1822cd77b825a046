import { randomUUID, type X509Certificate } from 'node:crypto';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2, constants } from 'node:http2';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Connection } from '../../gate/connection.ts';
import { Refusal } from '../../gate/refusal.ts';
import { type HubWords, hubPath, sessionOptions, watchOver } from '../session.ts';

/** From CONNECT to the agent's answer; and for the kubelet's handshake. */
const openMilliseconds = 4000;
/** Between two looks at a kubelet's certificate: it may have another address by then. */
const proveEvery = 30_000;
/** Until the first look succeeds: a kubelet that has just joined waits for its certificate. */
const proveAgain = 1000;
/** Of one node; an agent that comes back is not counted among those that are lost. */
const tunnelsOfNode = 3;
const mostTunnels = 500;
/** Connections to kubelets: with the window of each full, they fit into the container's memory. */
const mostOpen = 500;
/**
 * Of one tunnel that are being opened at once, less than the proxy allows in all. When one of them has waited for `slowMilliseconds`, the
 * worker is silent, and holds only a few: other workers need the rest.
 */
const mostOpening = 40;
const mostOpeningSlowly = 8;
const slowMilliseconds = 1000;
/** That wait for a tunnel to come back, of all addresses: they are openings of the proxy too. */
const mostWaiting = 32;
/** Of a certificate that are looked at: a node has an address or two of each kind. */
const addressesOfNode = 16;

/** Somebody whose address was known a moment ago comes back, and whose hub has just started comes soon. */
const absentMilliseconds = 60_000;
const waitMilliseconds = 3000;

interface Tunnel {
  node: string;
  session: ClientHttp2Session;
  /** Its certificate ends. */
  until: number;
  /** Addresses in the serving certificate that its kubelet has shown, and that its Node has. */
  addresses: Set<string>;
  /** What the agent has not answered yet, the oldest first. */
  opening: Set<{ since: number }>;
}

/** The tunnels that the workers' agents have opened to this hub, by what the kubelets at their other ends have shown. */
export class Tunnels {
  readonly #trusted: () => string;
  readonly #addressesOf: (node: string) => Promise<Set<string>>;
  readonly #say: (words: string) => void;
  readonly #name: string;
  readonly #start = randomUUID();
  readonly #began = performance.now();
  #hubs: string[];
  readonly #tunnels = new Set<Tunnel>();
  /** When an address was last reached by a tunnel. */
  readonly #lost = new Map<string, number>();
  readonly #waiting = new Set<() => void>();
  #open = 0;

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
    this.#trusted = trusted;
    this.#addressesOf = addressesOf;
    this.#say = say;
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
    const tunnel: Tunnel = { node, session, until, addresses: new Set(), opening: new Set() };
    this.#tunnels.add(tunnel);
    session.on('error', (error) => this.#say(`node ${node}: ${error.message}`));
    session.once('close', () => this.#forget(tunnel));
    session.once('connect', () => {
      // It may have ended since, and a session that has ended throws.
      if (session.destroyed) return;
      watchOver(session);
      this.#introduce(session);
      this.#say(`node ${node}: there is a tunnel`);
      void this.#keepProving(tunnel);
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
    return tunnel && carriedBy(await this.#openIn(tunnel));
  }

  /** @throws Refusal where the hub or the tunnel has too many already */
  async #openIn({ session, node, opening }: Tunnel): Promise<ClientHttp2Stream> {
    if (this.#open >= mostOpen) throw new Refusal('refused', `${mostOpen} connections to kubelets are open already`);
    const since = performance.now();
    const [oldest] = opening;
    const isSlow = oldest !== undefined && since - oldest.since > slowMilliseconds;
    if (opening.size >= (isSlow ? mostOpeningSlowly : mostOpening))
      throw new Refusal('refused', `node ${node} has not answered ${opening.size} connections yet`);
    const mine = { since };
    opening.add(mine);
    this.#open++;
    try {
      const stream = await openStream(session);
      stream.once('close', () => this.#open--);
      return stream;
    } catch (error) {
      this.#open--;
      throw error;
    } finally {
      opening.delete(mine);
    }
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

  async #keepProving(tunnel: Tunnel): Promise<void> {
    const { session, node } = tunnel;
    let pause: number | undefined;
    let timer: NodeJS.Timeout | undefined;
    session.once('close', () => clearTimeout(timer));
    const prove = async () => {
      if (session.destroyed) return;
      if (Date.now() > tunnel.until) return session.destroy(new Error("the node's certificate has expired"));
      try {
        const shown = addressesIn(await shownBy(session, this.#trusted()), node);
        // A certificate lives for a year, and an address may be another node's by then.
        const now = await this.#addressesOf(node);
        tunnel.addresses = new Set([...shown].filter((address) => now.has(address)));
        // The tunnel stays: an agent that is sent away comes back at once, and the Node may come back too.
        if (tunnel.addresses.size === 0) throw new Error(`the Node has none of ${[...shown].join(', ')}`);
        pause = proveEvery;
        for (const done of [...this.#waiting]) done();
      } catch (error) {
        this.#say(`node ${node}: its kubelet does not prove an address: ${(error as Error).message}`);
        // One that restarts keeps its addresses: the API server looks at its certificate itself.
        pause = Math.min(proveEvery, 2 * (pause ?? proveAgain / 2));
      }
      if (session.destroyed) return;
      timer = setTimeout(() => void prove(), pause);
    };
    await prove();
  }
}

/** @throws Refusal */
function openStream(session: ClientHttp2Session): Promise<ClientHttp2Stream> {
  return new Promise((resolve, reject) => {
    if (session.destroyed || session.closed) return reject(new Refusal('refused', 'the tunnel has just ended'));
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'kubelet' }, { endStream: false });
    const refuse = (why: string) => {
      clearTimeout(limit);
      stream.close(constants.NGHTTP2_CANCEL);
      reject(new Refusal('refused', `no connection through the tunnel: ${why}`));
    };
    const limit = setTimeout(() => refuse('the agent does not answer'), openMilliseconds);
    stream.on('error', (error) => refuse(error.message));
    stream.once('close', () => refuse('it has ended'));
    stream.once('response', ({ ':status': status }) => {
      if (status !== 200) return refuse(`the kubelet does not take it (${status})`);
      clearTimeout(limit);
      resolve(stream);
    });
  });
}

function carriedBy(stream: ClientHttp2Stream): Connection {
  return {
    close: () => stream.close(constants.NGHTTP2_CANCEL),
    carry: (client) => joinStreams(stream, client),
  };
}

/** Bytes both ways; a stream that broke off breaks the other side off as well. */
function joinStreams(stream: ClientHttp2Stream, client: Duplex): void {
  client.on('error', () => client.destroy());
  stream.once('close', () => {
    if (!stream.readableEnded || stream.rstCode !== constants.NGHTTP2_NO_ERROR) client.destroy();
  });
  client.once('close', () => stream.destroyed || stream.close(constants.NGHTTP2_CANCEL));
  client.pipe(stream).pipe(client);
}

/** The serving certificate of the kubelet at the other end of a tunnel, after a whole handshake. */
async function shownBy(session: ClientHttp2Session, ca: string): Promise<X509Certificate> {
  const stream = await openStream(session);
  return new Promise((resolve, reject) => {
    // For which names it is, is looked at by addressesIn.
    const socket = connectTls({ socket: stream, ca, minVersion: 'TLSv1.2', checkServerIdentity: () => undefined });
    const end = (done: () => void) => {
      clearTimeout(limit);
      socket.destroy();
      stream.close(constants.NGHTTP2_CANCEL);
      done();
    };
    const refuse = (error: Error) => end(() => reject(error));
    const limit = setTimeout(() => refuse(new Error('no answer')), openMilliseconds);
    socket.on('error', refuse);
    socket.once('close', () => refuse(new Error('closed')));
    socket.once('secureConnect', () => {
      const certificate = socket.getPeerX509Certificate();
      if (!socket.authorized || !certificate) return refuse(socket.authorizationError);
      end(() => resolve(certificate));
    });
  });
}

/**
 * The addresses in a kubelet's serving certificate. Pure.
 *
 * @throws Error where the certificate is another node's: an agent can lead to any kubelet that it reaches
 */
export function addressesIn(certificate: X509Certificate, node: string): Set<string> {
  const subject = certificate.subject.split('\n');
  if (!subject.includes(`CN=system:node:${node}`)) throw new Error(`it shows a certificate of ${subject.join(', ')}`);
  const listed = (certificate.subjectAltName ?? '')
    .split(', ')
    .flatMap((each) => /^IP Address:(.+)$/.exec(each)?.[1] ?? [])
    .slice(0, addressesOfNode);
  return new Set(listed.filter((address) => certificate.checkIP(address) !== undefined));
}
