import type { X509Certificate } from 'node:crypto';
import type { Connection, Proxies } from './connection.ts';
import { handshake } from './handshake.ts';

/** Milliseconds. */
const patience = 3000;

/**
 * The certificate that is shown at an address; undefined when there is none. Nothing about it is verified.
 *
 * @param proxies the way there, as for a connection
 */
export function shownCertificate(
  host: string,
  port: number,
  proxies?: Proxies,
  dial?: Connection['dial'],
): Promise<X509Certificate | undefined> {
  return handshake({ host, port, proxies, dial, patience }).catch(() => undefined);
}
