import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { fingerprint, inspect, isKeyPair, matches, signedBy } from './inspect.ts';
import { type Credential, createAuthority, createKeyPair, issueLeaf } from './issue.ts';

let authority: Credential;
let leaf: Credential;

beforeAll(async () => {
  authority = await createAuthority('the authority');
  leaf = await issueLeaf(authority, {
    commonName: 'a+b, "c"=d\\e',
    organizations: ['one'],
    dnsNames: ['x,DNS:evil.com'],
    usages: ['clientAuth'],
  });
});

describe('inspect', () => {
  it('reads names with odd characters, which never become two', () => {
    expect(inspect(leaf.certificate)).toMatchObject({
      commonName: 'a+b, "c"=d\\e',
      organizations: ['one'],
      issuer: 'the authority',
      dnsNames: ['x,DNS:evil.com'],
      ipAddresses: [],
      usages: ['clientAuth'],
      isAuthority: false,
      keyType: 'ec',
    });
  });

  it('reads an authority', () => {
    expect(inspect(authority.certificate)).toMatchObject({
      commonName: 'the authority',
      organizations: [],
      issuer: 'the authority',
      isAuthority: true,
      dnsNames: [],
      usages: [],
    });
    expect(inspect(authority.certificate).publicKeyPem).toMatch(/^-----BEGIN PUBLIC KEY-----\n/);
  });

  it('refuses what is not a certificate', () => expect(() => inspect('nonsense')).toThrow());
});

describe('fingerprint', () => {
  it("is node's, as plain lower-case hexadecimal, and that of the first of several", () => {
    const expected = new X509Certificate(authority.certificate).fingerprint256.replaceAll(':', '').toLowerCase();
    expect(fingerprint(authority.certificate)).toBe(expected);
    expect(fingerprint(authority.certificate + leaf.certificate)).toBe(expected);
    expect(inspect(authority.certificate).fingerprint).toBe(expected);
  });
});

describe('matches', () => {
  it('knows the key of a certificate', () => {
    expect(matches(leaf.certificate, leaf.key)).toBe(true);
    expect(matches(leaf.certificate, authority.key)).toBe(false);
    expect(matches(leaf.certificate, 'nonsense')).toBe(false);
    expect(matches('nonsense', leaf.key)).toBe(false);
  });
});

describe('isKeyPair', () => {
  it('knows the halves of a pair', async () => {
    const [one, other] = await Promise.all([createKeyPair('ec'), createKeyPair('rsa')]);
    expect(isKeyPair(one.publicKey, one.privateKey)).toBe(true);
    expect(isKeyPair(one.publicKey, other.privateKey)).toBe(false);
    expect(isKeyPair('', one.privateKey)).toBe(false);
  });
});

describe('signedBy', () => {
  it('knows the authority, also from one of the same name', async () => {
    const namesake = await createAuthority('the authority');
    expect(signedBy(leaf.certificate, authority.certificate)).toBe(true);
    expect(signedBy(authority.certificate, authority.certificate)).toBe(true);
    expect(signedBy(leaf.certificate, namesake.certificate)).toBe(false);
    expect(signedBy(leaf.certificate, leaf.certificate)).toBe(false);
    expect(signedBy('nonsense', authority.certificate)).toBe(false);
  });

  it('checks the signature itself', () => {
    const der = Buffer.from(new X509Certificate(leaf.certificate).raw);
    der[der.length - 1]! ^= 1;
    expect(signedBy(new X509Certificate(der).toString(), authority.certificate)).toBe(false);
  });
});
