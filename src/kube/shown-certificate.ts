import type { X509Certificate } from 'node:crypto';
import tls from 'node:tls';

/** Milliseconds. */
const patience = 3000;

/** The certificate that is shown at an address; undefined when there is none. Nothing about it is verified. */
export function shownCertificate(host: string, port: number): Promise<X509Certificate | undefined> {
  return new Promise((resolve) => {
    const socket = tls.connect({ host, port, servername: host, rejectUnauthorized: false, timeout: patience });
    const end = (shown?: X509Certificate) => {
      socket.destroy();
      resolve(shown);
    };
    socket.once('secureConnect', () => end(socket.getPeerX509Certificate()));
    socket.once('error', () => end());
    socket.once('timeout', () => end());
  });
}
