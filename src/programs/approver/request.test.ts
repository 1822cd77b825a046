import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { parseRequest } from './request.ts';

const openssl = (key: string[], subject: string, names?: string) =>
  execFileSync(
    'openssl',
    [
      'req',
      '-new',
      ...key,
      '-nodes',
      '-keyout',
      '/dev/null',
      '-subj',
      subject,
      ...(names ? ['-addext', `subjectAltName=${names}`] : []),
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );

const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
const rsa = ['-newkey', 'rsa:2048'];

test.each([
  ['EC', ec],
  ['RSA', rsa],
])('reads the names of an %s request', (_, key) => {
  expect(parseRequest(openssl(key, '/O=system:nodes/CN=system:node:w', 'DNS:w,IP:10.0.0.1,IP:fd00::1'))).toEqual({
    commonName: 'system:node:w',
    organizations: ['system:nodes'],
    otherNames: 0,
    dnsNames: ['w'],
    ipAddresses: ['10.0.0.1', 'fd00::1'],
    otherSans: 0,
  });
});

test('counts what does not belong there', () => {
  expect(parseRequest(openssl(ec, '/O=a/O=b/OU=c/CN=d', 'URI:https://x,email:a@b.c,DNS:w'))).toMatchObject({
    organizations: ['a', 'b'],
    otherNames: 1,
    dnsNames: ['w'],
    otherSans: 2,
  });
});

test('a request without alternative names has none', () => {
  expect(parseRequest(openssl(ec, '/CN=x'))).toMatchObject({ dnsNames: [], ipAddresses: [], otherSans: 0 });
});

test('a request that was not signed by its own key is refused', () => {
  const pem = openssl(ec, '/CN=x');
  const der = Buffer.from(pem.replace(/-----.*-----|\n/g, ''), 'base64');
  der[der.length - 1]! ^= 1;
  const changed = der.toString('base64').replace(/.{64}/g, '$&\n');
  expect(() =>
    parseRequest(`-----BEGIN CERTIFICATE REQUEST-----\n${changed}\n-----END CERTIFICATE REQUEST-----\n`),
  ).toThrow('not signed by its own key');
});

test('two requests in one are refused', () => {
  const pem = openssl(ec, '/CN=x');
  expect(() => parseRequest(pem + pem)).toThrow('not one certificate request');
});

test('what is no request is refused', () => {
  expect(() => parseRequest('hello')).toThrow('not one certificate request');
});
