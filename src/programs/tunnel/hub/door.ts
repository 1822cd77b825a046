import { connect, type Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { tunnelProtocol } from '../session.ts';
import type { Tunnels } from './tunnels.ts';

const handshakeMilliseconds = 5000;
/**
 * Connections that have shown nothing yet. Anybody can hold some; an honest handshake is over in less than a second, so the oldest has to go
 * when another comes.
 */
const mostPending = 200;
/** Connections of pods to the API that are open at once: of one node, and in all. */
const relayedOfNode = 200;
const mostRelayed = 500;
/** With 500 tunnels. Each takes memory outside of the heap, and the container's limit counts it. */
const mostConnections = 1200;
/** More than this a timer does not take. */
const longestTimer = 2 ** 31 - 1;
/** Of silence before the kernel asks whether a pod's worker is still there. */
const keepAliveMilliseconds = 30_000;

/** What the door shows, and whom it lets in, as PEM. */
export interface DoorKeys {
  cert: string;
  key: string;
  /** The CAs of the hosted cluster's clients. */
  ca: string;
}

interface Door {
  server: Server;
  /** Ends the connections of pods: what let them in is not trusted any more as it was. */
  closeRelays(): void;
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
): Door {
  const relays = new Map<Socket, string>();
  const server = createServer({
    ...keys,
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: [tunnelProtocol],
    minVersion: 'TLSv1.2',
    handshakeTimeout: handshakeMilliseconds,
  });
  server.maxConnections = mostConnections;
  const isKnown = dropOldest(server);
  server.on('tlsClientError', ({ message }) => say(`refused at the door: ${message}`));
  server.on('secureConnection', (socket) => {
    socket.on('error', () => socket.destroy());
    isKnown(socket);
    const { subject, valid_to: until } = socket.getPeerCertificate();
    const node = nodeOf(subject);
    if (!socket.authorized || node === undefined) {
      say(`refused at the door: ${subject?.CN} is no node`);
      return void socket.destroy();
    }
    socket.setNoDelay(true);
    if (socket.alpnProtocol === tunnelProtocol) return tunnels.accept(socket, node, Date.parse(until));
    const ofNode = [...relays.values()].filter((each) => each === node).length;
    if (ofNode >= relayedOfNode || relays.size >= mostRelayed) {
      say(`node ${node}: ${ofNode} connections of its pods are open already, and ${relays.size} of all nodes`);
      return void socket.destroy();
    }
    relays.set(socket, node);
    const end = setTimeout(() => socket.destroy(), Math.min(Date.parse(until) - Date.now(), longestTimer));
    socket.once('close', () => {
      clearTimeout(end);
      relays.delete(socket);
    });
    socket.setKeepAlive(true, keepAliveMilliseconds);
    relay(socket, apiServer);
  });
  return {
    server,
    closeRelays: () => {
      for (const socket of relays.keys()) socket.destroy();
    },
  };
}

/** @returns what to call with a connection whose client has shown a certificate */
function dropOldest(server: Server): (socket: Socket) => void {
  // The socket under TLS is another object than the one that is known in the end.
  const nameOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress} ${remotePort}`;
  const pending = new Map<string, Socket>();
  server.on('connection', (socket: Socket) => {
    const name = nameOf(socket);
    pending.delete(name);
    pending.set(name, socket);
    socket.once('close', () => pending.get(name) === socket && pending.delete(name));
    if (pending.size > mostPending) {
      const [[oldest, its]] = pending as unknown as [[string, Socket]];
      pending.delete(oldest);
      its.destroy();
    }
  });
  return (socket) => pending.delete(nameOf(socket));
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
