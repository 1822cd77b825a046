import type { X509Certificate } from 'node:crypto';
import { type ClientHttp2Session, constants } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import type { Holders } from './holders.ts';
import { openMilliseconds, openStream } from './streams.ts';
import type { Tunnel } from './tunnel.ts';

/** Between two looks at a kubelet's certificate: it may have another address by then. */
const proveEvery = 30_000;
/** Until the first look succeeds: a kubelet that has just joined waits for its certificate. */
const proveAgain = 1000;
/** Of a certificate that are looked at: a node has an address or two of each kind. */
const addressesOfNode = 16;

export interface Prover {
  /** Reads the CAs of kubelets' serving certificates, as PEM. */
  trusted(): string;
  /** Asks for the addresses that a Node has now. */
  addressesOf(node: string): Promise<Set<string>>;
  /** Of all tunnels. */
  holders: Holders;
  say(words: string): void;
  /** A tunnel has shown its addresses. */
  proven(): void;
}

/** Until the tunnel ends. */
export async function keepProving(tunnel: Tunnel, prover: Prover): Promise<void> {
  const { session, node } = tunnel;
  let pause: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  session.once('close', () => clearTimeout(timer));
  const prove = async () => {
    if (session.destroyed) return;
    if (Date.now() > tunnel.until) return session.destroy(new Error("the node's certificate has expired"));
    try {
      await proveOnce(tunnel, prover);
      pause = proveEvery;
      prover.proven();
    } catch (error) {
      prover.say(`node ${node}: its kubelet does not prove an address: ${(error as Error).message}`);
      // One that restarts keeps its addresses: the API server looks at its certificate itself.
      pause = Math.min(proveEvery, 2 * (pause ?? proveAgain / 2));
    }
    if (session.destroyed) return;
    timer = setTimeout(() => void prove(), pause);
  };
  await prove();
}

/** @throws Error where it has no address then; it keeps those of before where that cannot be found out */
async function proveOnce(tunnel: Tunnel, { trusted, addressesOf, holders }: Prover): Promise<void> {
  const { session, node } = tunnel;
  const certificate = await shownBy(session, trusted());
  const shown = [...addressesIn(certificate, node)];
  // A certificate lives for a year, and an address may be another node's by then.
  const now = await addressesOf(node);
  const since = Date.parse(certificate.validFrom);
  const claims = await Promise.all(
    shown
      .filter((address) => now.has(address))
      .map(async (address) => ({ address, keptBy: await holders.keptBy(address, { node, since }) })),
  );
  tunnel.addresses = new Set(claims.filter(({ keptBy }) => keptBy === undefined).map(({ address }) => address));
  // The tunnel stays: an agent that is sent away comes back at once, and the Node may come back too.
  if (claims.length === 0) throw new Error(`the Node has none of ${shown.join(', ')}`);
  const [kept] = claims.filter(({ keptBy }) => keptBy !== undefined);
  if (kept && tunnel.addresses.size === 0)
    throw new Error(`${kept.address} is node ${kept.keptBy}'s, by a newer certificate`);
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
