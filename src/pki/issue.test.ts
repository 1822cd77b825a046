import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspect, signedBy } from './inspect.ts';
import { type Credential, createAuthority, createKeyPair, issueLeaf, type KeyType, type LeafRequest } from './issue.ts';

const request: LeafRequest = {
  commonName: 'system:kube-controller-manager',
  organizations: ['k8sk8s:cluster-admins', 'Zürich_1@2'],
  dnsNames: ['localhost', '*.example.com', 'kubernetes.default.svc'],
  ipAddresses: ['10.3.0.1', '127.0.0.1', 'fd00::1', '::1'],
  usages: ['serverAuth', 'clientAuth'],
};
/** RSA keys take as long as luck and the neighbours on the machine want; milliseconds. */
const SLOW_BOX = 60_000;
const DAY = 24 * 60 * 60 * 1000;

describe.each<KeyType>(['ec', 'rsa'])('certificates with %s keys', (keyType) => {
  let authority: Credential;
  let leaf: Credential;
  let dir: string;

  beforeAll(async () => {
    authority = await createAuthority('test authority', { keyType });
    leaf = await issueLeaf(authority, request, { keyType });
    dir = mkdtempSync(path.join(tmpdir(), 'k8sk8s-pki-'));
    writeFileSync(path.join(dir, 'ca.pem'), authority.certificate);
    writeFileSync(path.join(dir, 'leaf.pem'), leaf.certificate);
  }, SLOW_BOX);
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, encoding: 'utf8' });

  it('satisfies openssl, strictly, as server and as client', () => {
    for (const purpose of ['sslserver', 'sslclient']) {
      expect(openssl('verify', '-x509_strict', '-purpose', purpose, '-CAfile', 'ca.pem', 'leaf.pem')).toBe(
        'leaf.pem: OK\n',
      );
    }
  });

  it('marks authority and leaf with the extensions that RFC 5280 wants', () => {
    const ca = openssl('x509', '-in', 'ca.pem', '-noout', '-text');
    expect(ca).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    expect(ca).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
    const text = openssl('x509', '-in', 'leaf.pem', '-noout', '-text');
    expect(text).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
    expect(text).toMatch(
      keyType === 'rsa'
        ? /Key Usage: critical\s+Digital Signature, Key Encipherment\n/
        : /Key Usage: critical\s+Digital Signature\n/,
    );
    expect(text).toMatch(/Extended Key Usage: \s+TLS Web Server Authentication, TLS Web Client Authentication\n/);
    const keyId = /Subject Key Identifier: \s+([0-9A-F:]+)\n/.exec(ca)?.[1];
    expect(keyId).toHaveLength(59);
    expect(/Authority Key Identifier: \s+([0-9A-F:]+)\n/.exec(text)?.[1]).toBe(keyId);
    expect(text).toContain(keyType === 'rsa' ? 'sha256WithRSAEncryption' : 'ecdsa-with-SHA256');
  });

  it('writes key usages without zero bits at the end, as DER wants', () => {
    const keyUsage = '0603551d0f0101ff040403';
    expect(new X509Certificate(authority.certificate).raw.toString('hex')).toContain(`${keyUsage}020106`);
    expect(new X509Certificate(leaf.certificate).raw.toString('hex')).toContain(
      keyUsage + (keyType === 'rsa' ? '0205a0' : '020780'),
    );
  });

  it('writes names as UTF8String', () => {
    const structure = openssl('asn1parse', '-in', 'leaf.pem');
    expect(structure).toContain('UTF8STRING        :system:kube-controller-manager');
    expect(structure).not.toContain('PRINTABLESTRING');
  });

  it('says what was asked for', () => {
    const certificate = new X509Certificate(leaf.certificate);
    expect(certificate.subjectAltName).toBe(
      'DNS:localhost, DNS:*.example.com, DNS:kubernetes.default.svc, IP Address:10.3.0.1, IP Address:127.0.0.1, IP Address:FD00:0:0:0:0:0:0:1, IP Address:0:0:0:0:0:0:0:1',
    );
    expect(certificate.checkHost('a.example.com')).toBeDefined();
    expect(certificate.checkIP('fd00::1')).toBeDefined();
    expect(certificate.ca).toBe(false);
    expect(inspect(leaf.certificate)).toMatchObject({ ...request, issuer: 'test authority', keyType });
    expect(certificate.checkPrivateKey(createPrivateKey(leaf.key))).toBe(true);
    expect(leaf.key).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
  });

  it('carries a TLS connection that both sides verify', async () => {
    const visitor = await issueLeaf(
      authority,
      { commonName: 'visitor', organizations: ['guests'], usages: ['clientAuth'] },
      { keyType },
    );
    const server = tls.createServer({
      cert: leaf.certificate,
      key: leaf.key,
      ca: authority.certificate,
      requestCert: true,
      rejectUnauthorized: true,
    });
    server.on('secureConnection', (socket) => socket.end(`hello ${socket.getPeerCertificate().subject.CN}`));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const greeting = await new Promise<string>((resolve, reject) => {
        const socket = tls.connect({
          host: '127.0.0.1',
          port,
          servername: 'localhost',
          ca: authority.certificate,
          cert: visitor.certificate,
          key: visitor.key,
        });
        let text = '';
        socket.on('data', (data) => {
          text += data;
        });
        socket.on('end', () => resolve(text));
        socket.on('error', reject);
      });
      expect(greeting).toBe('hello visitor');
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('makes key pairs that belong together', async () => {
    const pair = await createKeyPair(keyType);
    expect(createPublicKey(createPrivateKey(pair.privateKey)).equals(createPublicKey(pair.publicKey))).toBe(true);
    expect(pair.publicKey).toMatch(/^-----BEGIN PUBLIC KEY-----\n/);
    expect(createPublicKey(pair.publicKey).asymmetricKeyType).toBe(keyType);
  });
});

describe('issueLeaf', () => {
  it('signs with an authority of the other key type', async () => {
    const authority = await createAuthority('rsa authority', { keyType: 'rsa' });
    const leaf = await issueLeaf(authority, { commonName: 'x', usages: ['clientAuth'] }, { keyType: 'ec' });
    expect(signedBy(leaf.certificate, authority.certificate)).toBe(true);
  });

  it('accepts an authority that openssl made, its subject taken over byte for byte', async () => {
    const dir = mkdtempSync(path.join(tmpdir(), 'k8sk8s-pki-'));
    try {
      execFileSync(
        'openssl',
        [
          'req',
          '-x509',
          '-newkey',
          'rsa:2048',
          '-nodes',
          '-days',
          '30',
          '-subj',
          '/C=CH/O=some one/CN=their authority',
          '-keyout',
          'ca.key',
          '-out',
          'ca.pem',
        ],
        { cwd: dir, stdio: 'ignore' },
      );
      const read = (file: string) => execFileSync('cat', [file], { cwd: dir, encoding: 'utf8' });
      const authority = { certificate: read('ca.pem'), key: read('ca.key') };
      const leaf = await issueLeaf(authority, { commonName: 'x', usages: ['clientAuth'] });
      expect(signedBy(leaf.certificate, authority.certificate)).toBe(true);
      writeFileSync(path.join(dir, 'leaf.pem'), leaf.certificate);
      expect(execFileSync('openssl', ['verify', '-CAfile', 'ca.pem', 'leaf.pem'], { cwd: dir, encoding: 'utf8' })).toBe(
        'leaf.pem: OK\n',
      );
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it('starts a little in the past and lasts a year', async () => {
    const now = new Date('2026-05-01T12:00:00Z');
    const authority = await createAuthority('a', { now });
    const leaf = inspect(
      (await issueLeaf(authority, { commonName: 'x', usages: ['clientAuth'] }, { now })).certificate,
    );
    expect(leaf.notBefore).toEqual(new Date('2026-05-01T11:55:00Z'));
    expect(leaf.notAfter).toEqual(new Date(now.getTime() + 365 * DAY));
    expect(inspect(authority.certificate).notAfter).toEqual(new Date(now.getTime() + 3650 * DAY));
  });

  it('never outlives its authority, and can be as short as an hour', async () => {
    const authority = await createAuthority('a', { days: 10 });
    const until = async (days: number) =>
      inspect(
        (await issueLeaf(authority, { commonName: 'x', usages: ['clientAuth'] }, { days })).certificate,
      ).notAfter.getTime();
    expect(await until(365)).toBe(inspect(authority.certificate).notAfter.getTime());
    expect(Math.abs((await until(1 / 24)) - Date.now() - DAY / 24)).toBeLessThan(60_000);
  });

  it('writes dates after 2049 in the form of their own', async () => {
    const authority = await createAuthority('a', { now: new Date('2045-01-01T00:00:00Z') });
    expect(inspect(authority.certificate).notAfter.getUTCFullYear()).toBe(2054);
  });

  it('refuses an expired authority', async () => {
    const authority = await createAuthority('a', { now: new Date('2020-01-01T00:00:00Z'), days: 1 });
    await expect(issueLeaf(authority, { commonName: 'x', usages: ['clientAuth'] })).rejects.toThrow(
      'not valid at this time',
    );
  });

  it('refuses names that a certificate cannot hold', async () => {
    const authority = await createAuthority('a');
    const issue = (names: Partial<LeafRequest>) =>
      issueLeaf(authority, { commonName: 'x', usages: ['serverAuth'], ...names });
    await expect(issue({ dnsNames: ['münchen.de'] })).rejects.toThrow('münchen.de');
    await expect(issue({ dnsNames: ['a b'] })).rejects.toThrow('a b');
    await expect(issue({ ipAddresses: ['localhost'] })).rejects.toThrow('localhost');
  });

  it('gives every certificate a serial number of its own, positive and of 128 bits', async () => {
    const authority = await createAuthority('a');
    const leaves = await Promise.all(
      Array.from({ length: 20 }, () => issueLeaf(authority, { commonName: 'x', usages: ['clientAuth'] })),
    );
    const serials = new Set(leaves.map((leaf) => inspect(leaf.certificate).serial));
    expect(serials.size).toBe(20);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9a-f]{31}$/);
  });
});
