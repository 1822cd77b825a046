import { createPublicKey, verify } from 'node:crypto';
import { type Asn1, children, content, fromDer, idOf, isContextSpecific, isText, toDer } from '../../pki/asn1.ts';
import { canonicalAddress } from './names.ts';

// What is read here must be exactly what the signer, written in Go, reads later in the same bytes. Wherever the two
// could come to different names the request is refused, though Go would take it: no kubelet writes such a request.

/** What a PKCS#10 request (RFC 2986) asks for, as far as a serving certificate goes. */
export interface CertificateRequest {
  commonName: string;
  organizations: string[];
  /** How many attributes the subject has besides one CN and the O's. */
  otherNames: number;
  dnsNames: string[];
  /** As canonicalAddress spells them. */
  ipAddresses: string[];
  /** How many subject alternative names are neither DNS names nor addresses, such as e-mail addresses and URIs. */
  otherSans: number;
}

const oid = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  extensionRequest: '1.2.840.113549.1.9.14',
  subjectAltName: '2.5.29.17',
};

/** Digests of the signature algorithms: ECDSA (RFC 5758) and RSA with PKCS#1 v1.5 (RFC 4055). */
const digests: Record<string, string> = {
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
};

/** GeneralName, RFC 5280, 4.2.1.6: the number of the context tag is the kind. */
const dnsName = 2;
const ipAddress = 7;

/**
 * Reads a request in PEM, with an EC or RSA key, and verifies that its maker holds the key.
 *
 * @throws Error when it is no certificate request, is not written as DER demands, or is not signed by its own key
 */
export function parseRequest(pem: string): CertificateRequest {
  const [info, algorithm, signature] = parts(strictDer(pemBody(pem)), 3);
  const [, subject, key, attributes] = parts(info, 4);
  if (!isContextSpecific(attributes!) || attributes!.type !== 0) throw malformed();
  verifySignature(info!, key!, algorithm!, signature!);

  const names = children(subject)
    .flatMap((rdn) => children(rdn))
    .map((pair) => parts(pair, 2));
  const valuesOf = (wanted: string) => names.filter(([type]) => idOf(type) === wanted).map(([, value]) => text(value!));
  const commonNames = valuesOf(oid.commonName);
  const organizations = valuesOf(oid.organization);
  const sans = alternativeNames(attributes!);
  const ofKind = (kind: number) => sans.filter((name) => isContextSpecific(name) && name.type === kind);
  const [dns, addresses] = [ofKind(dnsName), ofKind(ipAddress)];
  return {
    commonName: commonNames[0] ?? '',
    organizations,
    otherNames: names.length - organizations.length - Math.min(commonNames.length, 1),
    dnsNames: dns.map((name) => content(name).toString('latin1')),
    ipAddresses: addresses.map((name) => address(content(name))),
    otherSans: sans.length - dns.length - addresses.length,
  };
}

/** One block and nothing around it: with more, or with headers, readers differ in which block they take. */
function pemBody(pem: string): Buffer {
  const match = /^-----BEGIN CERTIFICATE REQUEST-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE REQUEST-----\s*$/;
  const base64 = match.exec(pem)?.[1]?.replaceAll(/[\r\n]/g, '');
  if (!base64) throw new Error('it is not one certificate request in PEM');
  const body = Buffer.from(base64, 'base64');
  if (body.toString('base64') !== base64) throw new Error('it is not one certificate request in PEM');
  return body;
}

/** forge also reads BER, and takes a tag of several bytes for a tag and a length; Go does neither. */
function strictDer(der: Buffer): Asn1 {
  const tree = fromDer(der);
  if (hasLongTag(tree) || !toDer(tree).equals(der)) throw malformed();
  return tree;
}

function hasLongTag(node: Asn1): boolean {
  return Number(node.type) === 0x1f || children(node).some(hasLongTag);
}

/** The API server does not look at the signature; without it one could have a certificate for another's key. */
function verifySignature(info: Asn1, key: Asn1, algorithm: Asn1, signature: Asn1): void {
  const digest = digests[idOf(children(algorithm)[0])];
  if (!digest) throw new Error('its signature is neither ECDSA nor RSA with SHA-2');
  const publicKey = createPublicKey({ key: toDer(key), format: 'der', type: 'spki' });
  // The first byte of a bit string counts its unused bits.
  if (!verify(digest, toDer(info), publicKey, content(signature).subarray(1)))
    throw new Error('it is not signed by its own key');
}

function alternativeNames(attributes: Asn1): Asn1[] {
  return children(attributes)
    .map((attribute) => parts(attribute, 2))
    .filter(([type]) => idOf(type) === oid.extensionRequest)
    .flatMap(([, values]) => parts(values, 1))
    .flatMap((extensions) => children(extensions))
    .map((extension) => parts(extension, 2, 3))
    .filter(([type]) => idOf(type) === oid.subjectAltName)
    .flatMap((extension) => children(strictDer(content(extension.at(-1)))));
}

/** The children, when there are as many as RFC 2986 says: Go passes over those that are too many. */
function parts(node: Asn1 | undefined, least: number, most = least): Asn1[] {
  const nodes = children(node);
  if (nodes.length < least || nodes.length > most) throw malformed();
  return nodes;
}

function text(node: Asn1): string {
  if (!isText(node)) throw malformed();
  return content(node).toString('utf8');
}

function address(bytes: Buffer): string {
  const written =
    bytes.length === 4
      ? [...bytes].join('.')
      : (bytes
          .toString('hex')
          .match(/.{1,4}/g)
          ?.join(':') ?? '');
  const canonical = canonicalAddress(written);
  if (!canonical) throw malformed();
  return canonical;
}

function malformed(): Error {
  return new Error('it is not a certificate request as RFC 2986 and DER demand');
}
