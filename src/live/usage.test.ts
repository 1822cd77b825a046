import { once } from 'node:events';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { connectHosted } from '../kube/connect.ts';
import { createAuthority, issueLeaf } from '../pki/issue.ts';
import { readUsageFrom, wasUsed, wordOf } from './usage.ts';

const one = { instance: '1.7e+09', requests: 7, open: 0 };

test('a plane was used where a request came, a session goes on, or an API server was not there before', () => {
  const before = wordOf([one]);
  expect(wasUsed(before, [one])).toBe(false);
  expect(wasUsed(undefined, [one])).toBe(true);
  expect(wasUsed(before, [{ ...one, requests: 8 }])).toBe(true);
  expect(wasUsed(before, [{ ...one, open: 1 }])).toBe(true);
  expect(wasUsed(before, [one, { ...one, instance: '1.8e+09' }])).toBe(true);
  // One that is gone served nobody since.
  expect(wasUsed(wordOf([one, { ...one, instance: '1.8e+09' }]), [one])).toBe(false);
});

let server: https.Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

test.each<[string, (write: (chunk: string) => void) => void]>([
  ['sends a line without an end', (write) => write('x'.repeat(1 << 20))],
  ['sends lines without an end', (write) => write('a_total{} 1\n'.repeat(1 << 16))],
])('who stands in the place of an API server and %s is not listened to for long', async (_how, send) => {
  const authority = await createAuthority('test');
  const { certificate, key } = await issueLeaf(authority, {
    commonName: 'x',
    usages: ['serverAuth'],
    ipAddresses: ['127.0.0.1'],
  });
  let sent = 0;
  server = https.createServer({ cert: certificate, key }, (_request, answer) => {
    const more = () => {
      if (answer.destroyed) return;
      send((chunk) => {
        sent += chunk.length;
        answer.write(chunk, more);
      });
    };
    more();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const hosted = connectHosted({
    server: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    certificateAuthority: authority.certificate,
    client: await issueLeaf(authority, { commonName: 'k8sk8s-deploy', usages: ['clientAuth'] }),
  });
  // By its length, or on a slow machine by the time that it takes.
  await expect(readUsageFrom(hosted, new AbortController().signal)).rejects.toThrow();
  await hosted.close();
  expect(sent).toBeLessThan(32 << 20);
});
