import type { Proxies } from '../kube/connection.ts';
import { isUntrusted } from '../kube/errors.ts';
import { handshake } from '../kube/handshake.ts';
import { proxyFor } from '../kube/proxy.ts';
import { hostAndPort } from '../plane/addresses.ts';
import type { BackupHead } from './archive.ts';

/** How an address of the plane in the backup answers now. */
type Answer = 'alive' | 'down' | 'silent';

export interface OldPlane {
  /** Addresses at which an API server with a certificate of the backup's CA answers. */
  alive: string[];
  /** Addresses without any answer: the server is down, or cannot be reached from here. */
  silent: string[];
}

/** Milliseconds after which an address counts as silent. */
const patience = 4000;

/**
 * Looks whether the plane of a backup still answers at its addresses: the public one, the workers' one, and the node port.
 *
 * @param authority PEM of its CA: a server with a certificate of this CA has the plane's keys
 * @param proxies the way to the infra cluster, which stands beside these addresses
 */
export async function lookForOldPlane(
  { addresses }: Pick<BackupHead, 'addresses'>,
  authority: string,
  proxies?: Proxies,
): Promise<OldPlane> {
  const { publicServer, workerServer, infraNodes, nodePort } = addresses;
  const servers = [
    ...new Set([publicServer, workerServer, ...infraNodes.map((node) => `https://${node}:${nodePort}`)]),
  ];
  const answers = await Promise.all(servers.map((server) => ask(server, authority, proxies)));
  const those = (wanted: Answer) => servers.filter((_, index) => answers[index] === wanted);
  return { alive: those('alive'), silent: those('silent') };
}

/** Every other error proves that the plane is not there: refused, reset, a certificate of another CA. */
const meaning: Record<string, Answer> = {
  EHOSTUNREACH: 'silent',
  ENETUNREACH: 'silent',
  ETIMEDOUT: 'silent',
  EAI_AGAIN: 'silent',
  // TLS checks dates only after the signature was verified.
  CERT_HAS_EXPIRED: 'alive',
  CERT_NOT_YET_VALID: 'alive',
};

async function ask(server: string, authority: string, proxies: Proxies | undefined): Promise<Answer> {
  try {
    await handshake({ ...hostAndPort(server), authority, proxies, patience });
    return 'alive';
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    // A proxy that reaches nobody says nothing about who is there.
    if (proxyFor(new URL(server), proxies) && !isUntrusted(code)) return 'silent';
    return meaning[code] ?? 'down';
  }
}
