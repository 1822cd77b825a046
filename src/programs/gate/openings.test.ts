import https from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openingOf } from '../../base/openings.ts';
import { createAuthority, issueLeaf } from '../../pki/issue.ts';
import { Openings } from './openings.ts';
import { openOutside } from './outside.ts';

let text: string;
let said: string[];
let now: number;

/** Of this machine, in a network of the infra cluster. */
const box = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)!.address;

beforeEach(() => {
  text = JSON.stringify({ open: [], discovery: [] });
  said = [];
  now = 0;
});

afterEach(() => {
  vi.useRealTimers();
});

const openings = (resolve?: () => Promise<{ address: string }[]>) =>
  new Openings(
    { closed: [`${box}/32`], open: ['10.9.0.0/16'] },
    () => text,
    (words) => said.push(words),
    { now: () => now, ...(resolve && { resolve }) },
  );

const refuses = (from: Openings, host: string, port = 443) => from.refuses(host, host, port);

test('what the file opens is open from the next connection on, and closed again when it is gone from there', async () => {
  const all = openings();
  expect(await refuses(all, '10.1.1.1')).toBeTypeOf('string');
  expect(await refuses(all, '10.9.1.1')).toBeUndefined();
  text = JSON.stringify({ open: ['10.1.1.1:443'], discovery: [] });
  expect(await refuses(all, '10.1.1.1')).toBeUndefined();
  expect(await refuses(all, '10.1.1.1', 8443)).toBeTypeOf('string');
  text = JSON.stringify({ open: [], discovery: [] });
  expect(await refuses(all, '10.1.1.1')).toBeTypeOf('string');
});

test('a file that cannot be read changes nothing, and is said', async () => {
  const all = openings();
  text = JSON.stringify({ open: ['10.1.1.1:443'], discovery: [] });
  expect(await refuses(all, '10.1.1.1')).toBeUndefined();
  text = '{';
  expect(await refuses(all, '10.1.1.1')).toBeUndefined();
  expect(said.join()).toContain('openings');
});

test('an issuer on loopback is asked by nobody, and asking again waits', async () => {
  const all = openings();
  const url = 'https://127.0.0.1:1/.well-known/openid-configuration';
  text = JSON.stringify({ open: ['127.0.0.1:1'], discovery: [{ url, ca: (await createAuthority('x')).certificate }] });
  expect(await refuses(all, '10.1.1.1')).toBeTypeOf('string');
  expect(said.filter((words) => words.includes('is closed (loopback)'))).toHaveLength(1);
  await refuses(all, '10.1.1.2');
  expect(said).toHaveLength(1);
  now = 10_000;
  await refuses(all, '10.1.1.2');
  expect(said).toHaveLength(2);
});

test('what is open anyway waits for no issuer, and nothing waits without end for one whose name nobody resolves', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const all = openings(() => new Promise(() => undefined));
  text = JSON.stringify({
    open: [],
    discovery: [{ url: 'https://login.example.com/.well-known/openid-configuration' }],
  });
  expect(await refuses(all, '10.9.1.1')).toBeUndefined();
  expect(await refuses(all, '93.184.215.14')).toBeUndefined();
  expect(said).toEqual([]);
  const closed = refuses(all, '10.1.1.1');
  await vi.advanceTimersByTimeAsync(4000);
  expect(await closed).toBeTypeOf('string');
  expect(said.join()).toContain('no answer');
});

test('a name with a dot at its end is open as it is without', async () => {
  text = JSON.stringify({ open: [openingOf('login.example.com.', 443)], discovery: [] });
  expect(await openings().refuses('10.1.1.1', 'login.example.com.', 443)).toBeUndefined();
});

test('the host of the keys is open as long as the file names their issuer, also while that does not answer', async () => {
  const authority = await createAuthority('x');
  const leaf = await issueLeaf(authority, { commonName: 'x', ipAddresses: [box], usages: ['serverAuth'] });
  const server = https.createServer({ cert: leaf.certificate, key: leaf.key }, (_, response) =>
    response.end(JSON.stringify({ jwks_uri: 'https://10.5.5.5/keys' })),
  );
  await new Promise<void>((resolve) => server.listen(0, box, resolve));
  const host = `${box}:${(server.address() as AddressInfo).port}`;
  const all = openings();
  text = JSON.stringify({ open: [host], discovery: [{ url: `https://${host}/x`, ca: authority.certificate }] });
  expect(await refuses(all, '10.5.5.5')).toBeUndefined();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  now += 10_000;
  expect(await refuses(all, '10.5.5.5')).toBeUndefined();
  text = JSON.stringify({ open: [], discovery: [{ url: 'https://127.0.0.1:1/x' }] });
  expect(await refuses(all, '10.5.5.5')).toBeTypeOf('string');
  expect(said.length).toBeGreaterThan(1);
});

test('a provider on the Internet opens nothing in private networks: it is not asked where its keys are', async () => {
  const issuer = { open: ['login.example.com:443'], discovery: [{ url: 'https://login.example.com/x', ca: 'no CA' }] };
  text = JSON.stringify(issuer);
  const all = openings(async () => [{ address: '93.184.215.14' }]);
  expect(await refuses(all, '10.1.1.1')).toBeTypeOf('string');
  expect(said).toEqual([]);
  const inside = openings(async () => [{ address: '10.1.1.2' }]);
  expect(await refuses(inside, '10.1.1.1')).toBeTypeOf('string');
  expect(said).toHaveLength(1);
});

test('an issuer is found at each address that its name has by then, and at none that nothing opens', async () => {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, box, resolve));
  const { port } = server.address() as AddressInfo;
  let address = box;
  const resolve = async () => [{ address }];
  const all = openings(resolve);
  text = JSON.stringify({ open: [`login.corp.example:${port}`], discovery: [] });
  const dialled = async (host: string) => (await openOutside(all, host, port, 1000, resolve)).close();
  await dialled('login.corp.example');
  for (address of ['127.0.0.1', '169.254.169.254'])
    await expect(dialled('login.corp.example')).rejects.toThrow(`${address} is closed`);
  address = box;
  await dialled('login.corp.example');
  // Another name of the same address is nobody's issuer.
  await expect(dialled('other.corp.example')).rejects.toThrow(`${box} is closed`);
  await new Promise((resolve) => server.close(resolve));
});
