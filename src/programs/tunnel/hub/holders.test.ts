import type { AddressInfo, Server } from 'node:net';
import { createServer } from 'node:tls';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { until } from '../../../../test/until.ts';
import { type Credential, createAuthority, issueLeaf } from '../../../pki/issue.ts';
import { keepTunnels } from '../agent/agent.ts';
import { createDoor } from './door.ts';
import { Holders } from './holders.ts';
import { Tunnels } from './tunnels.ts';

const address = '203.0.113.7';
const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000);

test('a newer certificate holds an address as long as its Node has the address', async () => {
  const nodes: Record<string, string[]> = { older: [address], newer: [address] };
  const holders = new Holders(async (node) => new Set(nodes[node]));
  const [older, newer] = [
    { node: 'older', since: 1 },
    { node: 'newer', since: 2 },
  ];
  expect(await holders.keptBy(address, older)).toBeUndefined();
  expect(await holders.keptBy(address, newer)).toBeUndefined();
  expect(await holders.keptBy(address, older)).toBe('newer');
  expect(await holders.keptBy('203.0.113.8', older)).toBeUndefined();
  // Its own renewed certificate, or one of before that was restored.
  expect(await holders.keptBy(address, { node: 'newer', since: 0.5 })).toBeUndefined();
  expect(await holders.keptBy(address, newer)).toBeUndefined();
  nodes.newer = [];
  expect(await holders.keptBy(address, older)).toBeUndefined();
});

// A hub and agents in this process, with kubelets that show certificates. Nobody can dial the address (RFC 5737).
let serving: Credential;
let plane: Credential;
beforeAll(async () => {
  [serving, plane] = await Promise.all([
    createAuthority('kubelet-serving-ca', { now: hoursAgo(3) }),
    createAuthority('ca'),
  ]);
});

let hub: ReturnType<typeof createDoor>;
let tunnels: Tunnels;
let said: string[];
let nodes: Record<string, string[]>;
let ends: (() => void)[];
beforeEach(async () => {
  said = [];
  nodes = {};
  const say = (words: string) => said.push(words);
  const { certificate, key } = await issueLeaf(plane, {
    commonName: 'tunnel',
    dnsNames: ['hub.example.com'],
    usages: ['serverAuth'],
  });
  tunnels = new Tunnels(
    'one',
    () => serving.certificate,
    async (node) => new Set(nodes[node]),
    say,
  );
  const keys = { cert: certificate, key, ca: plane.certificate };
  hub = createDoor(keys, tunnels, { host: '127.0.0.1', port: 1 }, say);
  await new Promise<void>((done) => hub.server.listen(0, '127.0.0.1', done));
  ends = [];
});
afterEach(async () => {
  for (const end of ends) end();
  tunnels.closeAll();
  await new Promise((done) => hub.server.close(done));
});

/** A worker with a certificate for the address; the function lets its tunnel end. */
async function worker(name: string, since: Date): Promise<() => Promise<void>> {
  const ofNode = { commonName: `system:node:${name}`, organizations: ['system:nodes'] };
  const shown = await issueLeaf(serving, { ...ofNode, ipAddresses: [address], usages: ['serverAuth'] }, { now: since });
  const own = await issueLeaf(plane, { ...ofNode, usages: ['clientAuth'] });
  const kubelet = createServer({ cert: shown.certificate, key: shown.key }, (socket) =>
    socket.on('error', () => socket.destroy()),
  );
  const portOf = (server: Server) => (server.address() as AddressInfo).port;
  await new Promise<void>((done) => kubelet.listen(0, '127.0.0.1', done));
  const ending = new AbortController();
  const ended = keepTunnels(
    {
      host: 'hub.example.com',
      dial: '127.0.0.1',
      port: portOf(hub.server),
      trusted: () => plane.certificate,
      credential: () => own.certificate + own.key,
      kubelet: { host: '127.0.0.1', port: portOf(kubelet) },
      say: () => undefined,
    },
    ending.signal,
  );
  ends.push(() => {
    ending.abort();
    kubelet.close();
  });
  return async () => {
    ending.abort();
    await ended;
    await until(() => !tunnels.nodes.includes(name));
  };
}

async function leads(): Promise<boolean> {
  const connection = await tunnels.open(address).catch(() => undefined);
  connection?.close();
  return connection !== undefined;
}

test('who had an address before does not answer for it while the node that has it now is away', async () => {
  nodes.now = [address];
  const leaves = await worker('now', hoursAgo(1));
  await until(leads);
  await leaves();
  // A kubelet writes the addresses of its Node itself.
  nodes.before = [address];
  await worker('before', hoursAgo(2));
  await until(() => said.some((words) => words.includes('node before: its kubelet does not prove an address')));
  expect(await leads()).toBe(false);
  nodes.now = [];
  await until(leads);
});
