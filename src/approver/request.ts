import asn1 from 'node-forge/lib/asn1.js';
import { type Asn1, children, content, fromDer } from '../pki/asn1.ts';

/** What a PKCS#10 request (RFC 2986) asks for, as far as a serving certificate goes. */
export interface CertificateRequest {
  commonName: string;
  organizations: string[];
  /** Names of the subject other than CN and O. */
  otherNames: number;
  dnsNames: string[];
  ipAddresses: string[];
  /** Subject alternative names that are neither DNS names nor addresses. */
  otherSans: number;
}

const oid = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  extensionRequest: '1.2.840.113549.1.9.14',
  subjectAltName: '2.5.29.17',
};

/**
 * Reads a request in PEM. The key's kind does not matter: only names are looked at.
 *
 * @throws Error when it is no certificate request
 */
export function parseRequest(pem: string): CertificateRequest {
  const body = /-----BEGIN CERTIFICATE REQUEST-----([\s\S]+?)-----END CERTIFICATE REQUEST-----/.exec(pem)?.[1];
  if (!body) throw new Error('not a certificate request in PEM');
  const [info] = children(fromDer(Buffer.from(body, 'base64')));
  const [, subject, , attributes] = children(info);
  const names = children(subject).flatMap((rdn) => children(rdn).map((pair) => children(pair)));
  const valuesOf = (wanted: string) =>
    names.filter(([type]) => idOf(type) === wanted).map(([, value]) => content(value).toString('utf8'));
  const [commonName = '', ...more] = valuesOf(oid.commonName);
  const organizations = valuesOf(oid.organization);
  const sans = alternativeNames(attributes);
  return {
    commonName,
    organizations,
    otherNames: names.length - organizations.length - 1 + (more.length > 0 ? 1 : 0),
    dnsNames: sans.filter(({ type }) => type === 2).map(({ content: bytes }) => content(bytes).toString('latin1')),
    ipAddresses: sans.filter(({ type }) => type === 7).map(({ content: bytes }) => address(content(bytes))),
    otherSans: sans.filter(({ type }) => type !== 2 && type !== 7).length,
  };
}

/** GeneralNames of RFC 5280, 4.2.1.6: the context tag says the kind, 2 for DNS and 7 for addresses. */
function alternativeNames(attributes: Asn1 | undefined): { type: number; content: Asn1 }[] {
  return children(attributes)
    .map((attribute) => children(attribute))
    .filter(([type]) => idOf(type) === oid.extensionRequest)
    .flatMap(([, values]) => children(values))
    .flatMap((extensions) => children(extensions))
    .map((extension) => children(extension))
    .filter(([type]) => idOf(type) === oid.subjectAltName)
    .flatMap((parts) => children(fromDer(content(parts.at(-1)))))
    .map((name) => ({ type: Number(name.type), content: name }));
}

function idOf(node: Asn1 | undefined): string {
  return node ? asn1.derToOid(content(node).toString('latin1')) : '';
}

/** Four bytes in dotted form, sixteen as lower-case groups without abbreviation. */
function address(bytes: Buffer): string {
  if (bytes.length === 4) return [...bytes].join('.');
  return canonicalIpv6(bytes);
}

function canonicalIpv6(bytes: Buffer): string {
  return Array.from({ length: bytes.length / 2 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':');
}
