import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import tls from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { type Credential, createAuthority, issueLeaf } from '../pki/issue.ts';
import { lookForOldPlane } from './old-plane.ts';

const ec = { keyType: 'ec' } as const;
const request = { commonName: 'kube-apiserver', usages: ['serverAuth' as const], dnsNames: ['somewhere.else'] };

async function listening(server: tls.Server | ReturnType<typeof createServer>): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const show = ({ certificate, key }: Credential) => listening(tls.createServer({ cert: certificate, key }));

const at = (publicServer: string) => ({
  addresses: { publicServer, workerServer: publicServer, nodePort: 1, infraNodes: [] },
});

test('who shows a certificate of the authority is the plane, under whatever name and date', async () => {
  const past = new Date(Date.now() - 5 * 24 * 3600 * 1000);
  const authority = await createAuthority('kubernetes-ca a', { ...ec, now: past });
  const now = await show(await issueLeaf(authority, request, ec));
  expect(await lookForOldPlane(at(now), authority.certificate)).toEqual({ alive: [now], silent: [] });
  const expired = await show(await issueLeaf(authority, request, { ...ec, now: past, days: 1 }));
  expect(await lookForOldPlane(at(expired), authority.certificate)).toEqual({ alive: [expired], silent: [] });
});

test('nobody who answers, and somebody else, are not the plane', async () => {
  const [mine, other] = [await createAuthority('kubernetes-ca a', ec), await createAuthority('kubernetes-ca a', ec)];
  const others = await show(await issueLeaf(other, request, ec));
  const plain = await listening(
    createServer((socket) => socket.on('error', () => undefined).end('HTTP/1.1 400\r\n\r\n')),
  );
  for (const server of [others, plain, 'https://127.0.0.1:1'])
    expect(await lookForOldPlane(at(server), mine.certificate), server).toEqual({ alive: [], silent: [] });
});

test('silence is no answer', { timeout: 60_000 }, async () => {
  const { certificate } = await createAuthority('kubernetes-ca a', ec);
  const silent = await listening(createServer(() => undefined));
  expect(await lookForOldPlane(at(silent), certificate)).toEqual({ alive: [], silent: [silent] });
});
