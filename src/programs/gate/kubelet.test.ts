import { type AddressInfo, createServer, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Credential, createAuthority, issueLeaf } from '../../pki/issue.ts';
import { Kubelets } from './kubelet.ts';

// Real handshakes on loopback.

let ca: Credential;
let another: Credential;
let servers: Server[];
let now: number;

beforeAll(async () => {
  ca = await createAuthority('kubelet-serving-ca', { now: new Date(Date.now() - 100 * 86_400_000) });
  another = await createAuthority('kubelet-serving-ca');
});
beforeEach(() => {
  servers = [];
  now = 0;
});
afterEach(() => {
  for (const server of servers) server.close();
});

async function listens(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** A kubelet as far as the handshake goes: it asks for a client certificate, and does without. */
async function kubelet(
  authority: Credential,
  names: { ipAddresses?: string[]; dnsNames?: string[]; usages?: ('serverAuth' | 'clientAuth')[]; days?: number },
): Promise<number> {
  const { days, usages = ['serverAuth'], ...rest } = names;
  const { certificate: cert, key } = await issueLeaf(
    authority,
    { commonName: 'system:node:worker-1', organizations: ['system:nodes'], usages, ...rest },
    days === undefined ? {} : { days, now: new Date(Date.now() - 2 * days * 86_400_000) },
  );
  return listens(createTlsServer({ cert, key, requestCert: true, rejectUnauthorized: false }));
}

const kubelets = (milliseconds = 5000) =>
  new Kubelets(
    () => ca.certificate,
    milliseconds,
    () => now,
  );
const refused = (port: number) => expect(kubelets().check('127.0.0.1', port)).rejects.toMatchObject({ kind: 'probed' });

test('a kubelet of the cluster passes', async () => {
  await kubelets().check('127.0.0.1', await kubelet(ca, { ipAddresses: ['127.0.0.1'] }));
});

test('one of two CAs is enough, as while the CA is changed', async () => {
  const both = new Kubelets(() => `${another.certificate}\n${ca.certificate}`, 5000);
  await both.check('127.0.0.1', await kubelet(ca, { ipAddresses: ['127.0.0.1'] }));
});

test.each([
  ['of another CA, with the same name', () => kubelet(another, { ipAddresses: ['127.0.0.1'] })],
  ['for another address', () => kubelet(ca, { ipAddresses: ['127.0.0.2'] })],
  ['for a name alone', () => kubelet(ca, { dnsNames: ['127.0.0.1', 'localhost'] })],
  ['for clients', () => kubelet(ca, { ipAddresses: ['127.0.0.1'], usages: ['clientAuth'] })],
  ['that is over', () => kubelet(ca, { ipAddresses: ['127.0.0.1'], days: 10 })],
])('a certificate %s does not', async (_, listen) => {
  await refused(await listen());
});

test('whoever speaks no TLS, hangs up, or is not there does not', async () => {
  await refused(await listens(createServer((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nsecret'))));
  await refused(await listens(createServer((socket) => socket.destroy())));
  const port = await listens(createServer());
  await new Promise((resolve) => servers.at(-1)!.close(resolve));
  await refused(port);
});

test('whoever is silent does not, after the time limit', async () => {
  const port = await listens(createServer());
  await expect(kubelets(200).check('127.0.0.1', port)).rejects.toMatchObject({
    kind: 'probed',
    message: expect.stringContaining('no answer'),
  });
});

test('who passed is not asked for a minute, who did not is asked again at once', async () => {
  const port = await kubelet(ca, { ipAddresses: ['127.0.0.1'] });
  let asked = 0;
  servers[0]!.on('connection', () => asked++);
  const known = kubelets();
  await Promise.all([known.check('127.0.0.1', port), known.check('127.0.0.1', port)]);
  now = 59_999;
  await known.check('127.0.0.1', port);
  expect(asked).toBe(1);
  now = 60_000;
  await known.check('127.0.0.1', port);
  expect(asked).toBe(2);

  const closed = await kubelet(another, { ipAddresses: ['127.0.0.1'] });
  let tried = 0;
  servers[1]!.on('connection', () => tried++);
  for (let time = 0; time < 2; time++) await known.check('127.0.0.1', closed).catch(() => undefined);
  expect(tried).toBe(2);
});
