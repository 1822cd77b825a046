import tls from 'node:tls';
import { isIp } from '../base/cidr.ts';
import { hostAndPort } from '../plane/addresses.ts';
import type { BackupHead } from './archive.ts';

/** How an address of the plane that was backed up answers now. */
type Answer = 'alive' | 'down' | 'silent';

export interface OldPlane {
  /** Addresses at which an API server of the backup's authority answers. */
  alive: string[];
  /** Addresses at which nothing says anything: down, or out of reach from here. */
  silent: string[];
}

/** Milliseconds after which an address counts as silent. */
const patience = 4000;

/**
 * Whether the plane of a backup still runs where it did: at its public address, its workers' and its node port.
 *
 * @param authority PEM of its CA: whoever shows a certificate of it has the plane's keys
 */
export async function lookForOldPlane(
  { addresses }: Pick<BackupHead, 'addresses'>,
  authority: string,
): Promise<OldPlane> {
  const { publicServer, workerServer, infraNodes, nodePort } = addresses;
  const servers = [
    ...new Set([publicServer, workerServer, ...infraNodes.map((node) => `https://${node}:${nodePort}`)]),
  ];
  const answers = await Promise.all(servers.map((server) => ask(server, authority)));
  const those = (wanted: Answer) => servers.filter((_, index) => answers[index] === wanted);
  return { alive: those('alive'), silent: those('silent') };
}

/** What is not here is an answer of somebody else: refused, reset, a certificate of another authority. */
const meaning: Record<string, Answer> = {
  EHOSTUNREACH: 'silent',
  ENETUNREACH: 'silent',
  ETIMEDOUT: 'silent',
  EAI_AGAIN: 'silent',
  // Dates are looked at when the signature was found right.
  CERT_HAS_EXPIRED: 'alive',
  CERT_NOT_YET_VALID: 'alive',
};

function ask(server: string, authority: string): Promise<Answer> {
  const { host, port } = hostAndPort(server);
  return new Promise((resolve) => {
    const socket = tls.connect({
      host,
      port,
      ...(!isIp(host) && { servername: host }),
      ca: authority,
      // Under whatever name: only who signed it counts.
      checkServerIdentity: () => undefined,
      timeout: patience,
    });
    const end = (answer: Answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('secureConnect', () => end('alive'));
    socket.once('timeout', () => end('silent'));
    socket.once('error', (error: NodeJS.ErrnoException) => end(meaning[error.code ?? ''] ?? 'down'));
  });
}
