import { X509Certificate } from 'node:crypto';

/** The certificates in a PEM text, whatever stands between them. */
export function pemCertificates(text: string): string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
}

/** Those that can be read. */
export function usableCertificates(text: string): string[] {
  return pemCertificates(text).filter((certificate) => {
    try {
      return new X509Certificate(certificate).raw.length > 0;
    } catch {
      return false;
    }
  });
}
