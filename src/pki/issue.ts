import {
  createHash,
  createPrivateKey,
  generateKeyPair,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { ipBytes } from './addresses.ts';
import {
  type Asn1,
  bits,
  boolean,
  children,
  content,
  fromDer,
  integer,
  nothing,
  objectId,
  octets,
  sequence,
  set,
  tagged,
  time,
  toDer,
  utf8,
} from './asn1.ts';

/** ec is P-256, rsa is 2048 bits. */
export type KeyType = 'ec' | 'rsa';

/** PEM strings; the key is PKCS#8 and unencrypted. */
export interface Credential {
  certificate: string;
  key: string;
}

export type Usage = 'serverAuth' | 'clientAuth';

export interface LeafRequest {
  commonName: string;
  organizations?: string[];
  /** ASCII; a wildcard is allowed as the first label. */
  dnsNames?: string[];
  /** IPv4 and IPv6. */
  ipAddresses?: string[];
  usages: Usage[];
}

export interface IssueOptions {
  /** Default ec. */
  keyType?: KeyType;
  /** Lifetime from `now` on; may be a fraction. A leaf certificate never outlives its CA. */
  days?: number;
  now?: Date;
}

const DAY = 24 * 60 * 60 * 1000;
/** Clocks of workers and pods differ; a certificate must be valid where the clock is a little behind. */
const CLOCK_SKEW = 5 * 60 * 1000;
const AUTHORITY_DAYS = 3650;
const LEAF_DAYS = 365;

const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  sha256WithRsa: '1.2.840.113549.1.1.11',
} as const;

/** The bits of KeyUsage (RFC 5280, 4.2.1.3) in its first byte. */
const DIGITAL_SIGNATURE = 0x80;
const KEY_ENCIPHERMENT = 0x20;
const KEY_CERT_SIGN = 0x04;
const CRL_SIGN = 0x02;

/**
 * A self-signed CA that may sign leaf certificates but no further CA, valid for 10 years unless `options.days` says otherwise.
 */
export async function createAuthority(commonName: string, options: IssueOptions = {}): Promise<Credential> {
  const pair = await generateKeys(options.keyType ?? 'ec');
  const name = distinguishedName(commonName, []);
  const issuer = { name, keyId: keyIdentifier(subjectPublicKeyInfo(pair.publicKey)), key: pair.privateKey };
  return authorityOf(pair, issuer, name, lifetime(options, AUTHORITY_DAYS), []);
}

/**
 * A CA for client certificates, signed by `authority`, and valid no longer than that. Only a server that trusts this CA directly
 * accepts it: `authority` forbids that what it signs signs further, so a chain from its leaf certificates to `authority` is refused.
 */
export async function issueClientAuthority(
  authority: Credential,
  commonName: string,
  options: IssueOptions = {},
): Promise<Credential> {
  const issuer = issuerOf(authority);
  const { notBefore, notAfter } = lifetime(options, LEAF_DAYS);
  return authorityOf(
    await generateKeys(options.keyType ?? 'ec'),
    { ...issuer, key: createPrivateKey(authority.key) },
    distinguishedName(commonName, []),
    { notBefore, notAfter: new Date(Math.min(notAfter.getTime(), issuer.notAfter.getTime())) },
    [extension(OID.extKeyUsage, sequence(objectId(OID.clientAuth)))],
  );
}

function authorityOf(
  pair: Keys,
  issuer: { name: Asn1; keyId?: Buffer; key: KeyObject },
  subject: Asn1,
  life: { notBefore: Date; notAfter: Date },
  extensions: Asn1[],
): Credential {
  const publicKey = subjectPublicKeyInfo(pair.publicKey);
  const certificate = signCertificate(issuer.key, {
    issuer: issuer.name,
    subject,
    ...life,
    publicKey,
    extensions: [
      basicConstraints(true),
      keyUsage(KEY_CERT_SIGN | CRL_SIGN),
      ...extensions,
      extension(OID.subjectKeyIdentifier, octets(keyIdentifier(publicKey))),
      ...(issuer.keyId ? [authorityKeyIdentifier(issuer.keyId)] : []),
    ],
  });
  return { certificate, key: toPem(pair.privateKey) };
}

/**
 * A certificate for a server, a client or both, with a fresh key, signed by `authority` (of either key type), valid for a
 * year unless `options.days` says otherwise, and never longer than the CA.
 *
 * @throws Error when the CA has expired, or when a certificate cannot contain a name
 */
export async function issueLeaf(
  authority: Credential,
  request: LeafRequest,
  options: IssueOptions = {},
): Promise<Credential> {
  const keyType = options.keyType ?? 'ec';
  const pair = await generateKeys(keyType);
  const issuer = issuerOf(authority);
  const asked = lifetime(options, LEAF_DAYS);
  const notBefore = new Date(Math.max(asked.notBefore.getTime(), issuer.notBefore.getTime()));
  const notAfter = new Date(Math.min(asked.notAfter.getTime(), issuer.notAfter.getTime()));
  if (notAfter <= notBefore) throw new Error(`the CA of ${request.commonName} is not valid at this time`);
  const publicKey = subjectPublicKeyInfo(pair.publicKey);
  const altNames = subjectAltNames(request);
  const certificate = signCertificate(createPrivateKey(authority.key), {
    issuer: issuer.name,
    subject: distinguishedName(request.commonName, request.organizations ?? []),
    notBefore,
    notAfter,
    publicKey,
    extensions: [
      basicConstraints(false),
      keyUsage(keyType === 'rsa' ? DIGITAL_SIGNATURE | KEY_ENCIPHERMENT : DIGITAL_SIGNATURE),
      extension(OID.extKeyUsage, sequence(...request.usages.map((usage) => objectId(OID[usage])))),
      extension(OID.subjectKeyIdentifier, octets(keyIdentifier(publicKey))),
      ...(issuer.keyId ? [authorityKeyIdentifier(issuer.keyId)] : []),
      ...(altNames.length > 0 ? [extension(OID.subjectAltName, sequence(...altNames))] : []),
    ],
  });
  return { certificate, key: toPem(pair.privateKey) };
}

/**
 * A PKCS#10 request (RFC 2986) for a client certificate, with the fresh key that it is for; PEM.
 *
 * @throws Error when a certificate cannot contain a name
 */
export async function createRequest(
  subject: Pick<LeafRequest, 'commonName' | 'organizations'>,
  keyType: KeyType,
): Promise<{ request: string; key: string }> {
  const pair = await generateKeys(keyType);
  const version1 = integer(Buffer.from([0]));
  const name = distinguishedName(subject.commonName, subject.organizations ?? []);
  const toBeSigned = sequence(version1, name, subjectPublicKeyInfo(pair.publicKey), tagged(0, []));
  const signature = sign('sha256', toDer(toBeSigned), pair.privateKey);
  const der = toDer(sequence(toBeSigned, signatureAlgorithm(pair.privateKey), bits(signature)));
  const lines = der.toString('base64').match(/.{1,64}/g)!;
  return {
    request: ['-----BEGIN CERTIFICATE REQUEST-----', ...lines, '-----END CERTIFICATE REQUEST-----', ''].join('\n'),
    key: toPem(pair.privateKey),
  };
}

/** A bare key pair, for service-account tokens: SPKI and PKCS#8 in PEM. */
export async function createKeyPair(keyType: KeyType): Promise<{ publicKey: string; privateKey: string }> {
  const pair = await generateKeys(keyType);
  return {
    publicKey: pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    privateKey: toPem(pair.privateKey),
  };
}

interface Keys {
  publicKey: KeyObject;
  privateKey: KeyObject;
}

/** Runs in node's thread pool, so several keys are generated at once. */
function generateKeys(keyType: KeyType): Promise<Keys> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, publicKey: KeyObject, privateKey: KeyObject) =>
      error ? reject(error) : resolve({ publicKey, privateKey });
    if (keyType === 'ec') generateKeyPair('ec', { namedCurve: 'P-256' }, done);
    else generateKeyPair('rsa', { modulusLength: 2048 }, done);
  });
}

function toPem(privateKey: KeyObject): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function lifetime(options: IssueOptions, defaultDays: number): { notBefore: Date; notAfter: Date } {
  const now = (options.now ?? new Date()).getTime();
  return { notBefore: new Date(now - CLOCK_SKEW), notAfter: new Date(now + (options.days ?? defaultDays) * DAY) };
}

interface ToBeSigned {
  issuer: Asn1;
  subject: Asn1;
  notBefore: Date;
  notAfter: Date;
  publicKey: Asn1;
  extensions: Asn1[];
}

/** Certificate and TBSCertificate of RFC 5280, 4.1, in PEM. */
function signCertificate(key: KeyObject, fields: ToBeSigned): string {
  const algorithm = signatureAlgorithm(key);
  const version3 = tagged(0, [integer(Buffer.from([2]))]);
  const toBeSigned = sequence(
    version3,
    integer(serialNumber()),
    algorithm,
    fields.issuer,
    sequence(time(fields.notBefore), time(fields.notAfter)),
    fields.subject,
    fields.publicKey,
    tagged(3, [sequence(...fields.extensions)]),
  );
  const signature = sign('sha256', toDer(toBeSigned), key);
  return new X509Certificate(toDer(sequence(toBeSigned, algorithm, bits(signature)))).toString();
}

function signatureAlgorithm(key: KeyObject): Asn1 {
  return key.asymmetricKeyType === 'ec'
    ? sequence(objectId(OID.ecdsaWithSha256))
    : sequence(objectId(OID.sha256WithRsa), nothing());
}

/** 16 random bytes, positive and without a leading zero byte, so that the DER form is always as long. */
function serialNumber(): Buffer {
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  return serial;
}

function distinguishedName(commonName: string, organizations: string[]): Asn1 {
  const attribute = (type: string, value: string) => set(sequence(objectId(type), utf8(value)));
  return sequence(
    ...organizations.map((organization) => attribute(OID.organization, organization)),
    attribute(OID.commonName, commonName),
  );
}

function subjectAltNames(request: LeafRequest): Asn1[] {
  const dnsName = (name: string) => {
    if (!/^[\x21-\x7e]+$/.test(name))
      throw new Error(`not a DNS name that a certificate can hold: ${JSON.stringify(name)}`);
    return tagged(2, Buffer.from(name, 'latin1'));
  };
  return [
    ...(request.dnsNames ?? []).map(dnsName),
    ...(request.ipAddresses ?? []).map((address) => tagged(7, ipBytes(address))),
  ];
}

function extension(oid: string, value: Asn1, critical = false): Asn1 {
  return sequence(objectId(oid), ...(critical ? [boolean(true)] : []), octets(toDer(value)));
}

function basicConstraints(authority: boolean): Asn1 {
  const noFurtherAuthorities = integer(Buffer.from([0]));
  return extension(OID.basicConstraints, authority ? sequence(boolean(true), noFurtherAuthorities) : sequence(), true);
}

function keyUsage(flags: number): Asn1 {
  // DER drops the zero bits at the end of a list of named bits.
  const unusedBits = 31 - Math.clz32(flags & -flags);
  return extension(OID.keyUsage, bits(Buffer.from([flags]), unusedBits), true);
}

function authorityKeyIdentifier(keyId: Buffer): Asn1 {
  return extension(OID.authorityKeyIdentifier, sequence(tagged(0, keyId)));
}

function subjectPublicKeyInfo(publicKey: KeyObject): Asn1 {
  return fromDer(publicKey.export({ type: 'spki', format: 'der' }));
}

/** The leftmost 160 bits of the SHA-256 of the key's bits (RFC 7093, method 1). */
function keyIdentifier(publicKey: Asn1): Buffer {
  const keyBits = content(children(publicKey)[1]).subarray(1);
  return createHash('sha256').update(keyBits).digest().subarray(0, 20);
}

interface Issuer {
  name: Asn1;
  keyId: Buffer | undefined;
  notBefore: Date;
  notAfter: Date;
}

/** The subject is copied byte for byte, because clients compare it with the issuer of a leaf certificate byte for byte. */
function issuerOf(authority: Credential): Issuer {
  const certificate = new X509Certificate(authority.certificate);
  const fields = children(children(fromDer(certificate.raw))[0]);
  const extensions = children(
    children(fields.find((field) => field.constructed && field.tagClass === 0x80 && field.type === 3))[0],
  );
  const subjectKeyId = extensions.find((entry) =>
    content(children(entry)[0]).equals(content(objectId(OID.subjectKeyIdentifier))),
  );
  return {
    name: fields[5]!,
    keyId: subjectKeyId ? content(fromDer(content(children(subjectKeyId).at(-1)))) : undefined,
    notBefore: new Date(certificate.validFrom),
    notAfter: new Date(certificate.validTo),
  };
}
