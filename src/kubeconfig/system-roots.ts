import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { pemCertificates } from './pem.ts';

/** Where systems keep the CAs that they trust: the first file that is there counts, and all folders (Go's crypto/x509). */
const files = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];
const folders = ['/etc/ssl/certs', '/etc/pki/tls/certs'];

/**
 * The certificates of the system's CA store, each once: those of SSL_CERT_FILE and SSL_CERT_DIR (a list with colons) where
 * they are set.
 */
export function systemRoots(env: Record<string, string | undefined>): string[] {
  const found = new Set<string>();
  for (const file of env.SSL_CERT_FILE ? [env.SSL_CERT_FILE] : files) {
    const text = tryRead(file);
    if (text === undefined) continue;
    for (const certificate of pemCertificates(text)) found.add(certificate);
    break;
  }
  for (const folder of env.SSL_CERT_DIR ? env.SSL_CERT_DIR.split(':') : folders)
    for (const file of filesIn(folder))
      for (const certificate of pemCertificates(tryRead(file) ?? '')) found.add(certificate);
  return [...found];
}

/** Links to a neighbour, by which OpenSSL finds certificates by their hash, would be the same once more. */
function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .map((entry) => ({ entry, file: path.join(folder, entry.name) }))
      .filter(({ entry, file }) => !(entry.isSymbolicLink() && !readlinkSync(file).includes('/')))
      .map(({ file }) => file);
  } catch {
    return [];
  }
}

function tryRead(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
