import { createHash, createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { canonicalIp } from './addresses.ts';

export interface CertificateFacts {
  commonName: string;
  organizations: string[];
  /** The issuer's common name. */
  issuer: string;
  /** Hexadecimal, lower case. */
  serial: string;
  dnsNames: string[];
  /** In the spelling of `canonicalIp`. */
  ipAddresses: string[];
  /** Extended key usages: serverAuth, clientAuth, or the OID of any other. */
  usages: string[];
  isAuthority: boolean;
  notBefore: Date;
  notAfter: Date;
  /** node's name of the key's algorithm: ec, rsa, ed25519 … */
  keyType: string;
  /** SPKI. */
  publicKeyPem: string;
  /** SHA-256 of the DER form, hexadecimal, lower case. */
  fingerprint: string;
}

const USAGES: Record<string, string> = { '1.3.6.1.5.5.7.3.1': 'serverAuth', '1.3.6.1.5.5.7.3.2': 'clientAuth' };

/**
 * The fields of a certificate. If the PEM text has several, the first counts.
 *
 * @throws Error when `pem` is not a certificate
 */
export function inspect(pem: string): CertificateFacts {
  const certificate = new X509Certificate(pem);
  const legacy = certificate.toLegacyObject();
  const altNames = parseAltNames(certificate.subjectAltName ?? '');
  return {
    commonName: attribute(legacy.subject, 'CN')[0] ?? '',
    organizations: attribute(legacy.subject, 'O'),
    issuer: attribute(legacy.issuer, 'CN')[0] ?? '',
    serial: certificate.serialNumber.toLowerCase(),
    dnsNames: altNames.filter(([kind]) => kind === 'DNS').map(([, value]) => value),
    ipAddresses: altNames.filter(([kind]) => kind === 'IP Address').map(([, value]) => canonicalIp(value) ?? value),
    usages: (certificate.keyUsage ?? []).map((oid) => USAGES[oid] ?? oid),
    isAuthority: certificate.ca,
    notBefore: new Date(certificate.validFrom),
    notAfter: new Date(certificate.validTo),
    keyType: certificate.publicKey.asymmetricKeyType ?? '',
    publicKeyPem: certificate.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    fingerprint: sha256(certificate),
  };
}

/**
 * SHA-256 of a certificate's DER form, hexadecimal, lower case, without colons.
 *
 * @throws Error when `pem` is not a certificate
 */
export function fingerprint(pem: string): string {
  return sha256(new X509Certificate(pem));
}

/** The certificates of a PEM text, one after the other. */
export function certificatesIn(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g) ?? [];
}

/** Whether two PEM texts have a certificate in common. False also when one of them cannot be read. */
export function shareCertificate(one: string, other: string): boolean {
  try {
    const known = new Set(certificatesIn(one).map(fingerprint));
    return certificatesIn(other).some((each) => known.has(fingerprint(each)));
  } catch {
    return false;
  }
}

/** Whether the private `key` (PEM) belongs to the certificate. False also when one of them cannot be read. */
export function matches(certificate: string, key: string): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

/** Whether two PEM texts are the public and the private key of one pair. False also when one of them cannot be read. */
export function isKeyPair(publicKey: string, privateKey: string): boolean {
  try {
    const derived = createPublicKey(createPrivateKey(privateKey));
    return createPublicKey(publicKey).equals(derived);
  } catch {
    return false;
  }
}

/** Whether `authorityCertificate` issued and signed `certificate`; dates are not checked. */
export function signedBy(certificate: string, authorityCertificate: string): boolean {
  try {
    const leaf = new X509Certificate(certificate);
    const authority = new X509Certificate(authorityCertificate);
    return leaf.checkIssued(authority) && leaf.verify(authority.publicKey);
  } catch {
    return false;
  }
}

function sha256(certificate: X509Certificate): string {
  return createHash('sha256').update(certificate.raw).digest('hex');
}

/** node gives a string for one value of an attribute and a list for several; its types know only the first. */
function attribute(name: object | undefined, type: string): string[] {
  const value: unknown = (name as Record<string, unknown> | undefined)?.[type];
  return value === undefined ? [] : Array.isArray(value) ? value.map(String) : [String(value)];
}

/** node's `DNS:a, IP Address:10.0.0.1`; a value with a comma is a JSON string there. */
function parseAltNames(text: string): [kind: string, value: string][] {
  return [...text.matchAll(/(?:^|, )([^:,]+):("(?:[^"\\]|\\.)*"|[^,]*)/g)].map(([, kind = '', value = '']) => [
    kind,
    value.startsWith('"') ? String(JSON.parse(value)) : value,
  ]);
}

/** `12 days before its end`, `3 days after its end`. */
export function describeDays(days: number): string {
  const count = Math.abs(days) === 1 ? '1 day' : `${Math.abs(days)} days`;
  return days < 0 ? `${count} after its end` : `${count} before its end`;
}
