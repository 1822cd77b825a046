import { connect } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { tunnelProtocol } from '../session.ts';
import type { Tunnels } from './tunnels.ts';

const handshakeMilliseconds = 5000;
/** Connections of pods of one node to the API that are open at once. */
const relayedOfNode = 500;
const mostConnections = 5000;

/** What the door shows, and whom it lets in, as PEM. */
export interface DoorKeys {
  cert: string;
  key: string;
  /** The CAs of the hosted cluster's clients. */
  ca: string;
}

/**
 * Where workers knock: only who has the key of a node's client certificate comes in, as an agent or to be led to the API server.
 *
 * @param apiServer where the API server beside this listens, for the pods of workers that reach nothing else
 */
export function createDoor(
  keys: DoorKeys,
  tunnels: Pick<Tunnels, 'accept'>,
  apiServer: { host: string; port: number },
  say: (words: string) => void,
): Server {
  const relayed = new Map<string, number>();
  const server = createServer({
    ...keys,
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: [tunnelProtocol],
    minVersion: 'TLSv1.2',
    handshakeTimeout: handshakeMilliseconds,
  });
  server.maxConnections = mostConnections;
  server.on('tlsClientError', ({ message }) => say(`refused at the door: ${message}`));
  server.on('secureConnection', (socket) => {
    socket.on('error', () => socket.destroy());
    const { subject, valid_to: until } = socket.getPeerCertificate();
    const node = nodeOf(subject);
    if (!socket.authorized || node === undefined) {
      say(`refused at the door: ${subject?.CN} is no node`);
      return void socket.destroy();
    }
    socket.setNoDelay(true);
    if (socket.alpnProtocol === tunnelProtocol) return tunnels.accept(socket, node, Date.parse(until));
    const now = relayed.get(node) ?? 0;
    if (now >= relayedOfNode) {
      say(`node ${node}: ${relayedOfNode} connections of its pods are open already`);
      return void socket.destroy();
    }
    relayed.set(node, now + 1);
    socket.once('close', () => relayed.set(node, relayed.get(node)! - 1));
    relay(socket, apiServer);
  });
  return server;
}

/** The node's name in the subject of a kubelet's client certificate; undefined where it is another's. Pure. */
export function nodeOf(subject: { CN?: unknown; O?: unknown } | undefined): string | undefined {
  if (subject?.O !== 'system:nodes' || typeof subject.CN !== 'string') return undefined;
  return /^system:node:([a-z0-9]([-a-z0-9.]*[a-z0-9])?)$/.exec(subject.CN)?.[1];
}

/** Bytes alone: what is inside is TLS with the API server, and its credentials are the pod's. */
function relay(socket: TLSSocket, { host, port }: { host: string; port: number }): void {
  const server = connect({ host, port, allowHalfOpen: true, noDelay: true });
  server.on('error', () => server.destroy());
  server.once('close', () => socket.destroySoon());
  socket.once('close', () => server.destroy());
  socket.pipe(server).pipe(socket);
}
