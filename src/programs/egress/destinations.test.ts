import { beforeEach, expect, test } from 'vitest';
import { Destinations } from './destinations.ts';
import { Refusal } from './refusal.ts';

let asked: string[];
let now: number;
let pods: Record<string, { namespace: string; name: string }[]>;
let nodes: string[][];

const api = {
  async get(path: string): Promise<unknown> {
    const url = new URL(path, 'https://api');
    asked.push(`${url.pathname}${url.searchParams.get('continue') ?? ''}`);
    if (url.pathname === '/api/v1/nodes') {
      const page = Number(url.searchParams.get('continue') ?? 0);
      return {
        metadata: { continue: page + 1 < nodes.length ? String(page + 1) : undefined },
        items: nodes[page]!.map((address) => ({ status: { addresses: [{ type: 'InternalIP', address }] } })),
      };
    }
    const address = /status\.podIP=([\d.]+)/.exec(url.searchParams.get('fieldSelector') ?? '')![1]!;
    return { items: (pods[address] ?? []).map((metadata) => ({ metadata })) };
  },
};
const destinations = () => new Destinations(api, '10.2.0.0/16', () => now);
const web = { namespace: 'default', name: 'web' };

beforeEach(() => {
  asked = [];
  now = 0;
  pods = { '10.2.0.5': [web] };
  nodes = [['192.168.0.11'], ['192.168.0.12']];
});

test('an address inside the pod network leads to its pod', async () => {
  expect(await destinations().find('10.2.0.5')).toEqual({ kind: 'pod', ...web });
});

test("a node's address leads to the node, whichever page of the list it is on", async () => {
  expect(await destinations().find('192.168.0.12')).toEqual({ kind: 'node', address: '192.168.0.12' });
});

test.each([
  ['a stranger', '192.168.0.99', 403, 'is no node'],
  ['a name', 'etcd0', 403, 'names are not resolved'],
  ['IPv6', '::1', 403, 'no IPv4 address'],
  ['an address in another notation', '0x7f.1', 403, 'no IPv4 address'],
  ['an address that no pod has', '10.2.0.9', 404, 'no pod has the address'],
])('%s is refused', async (_, address, status, words) => {
  const refusal = await destinations()
    .find(address)
    .catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(Refusal);
  expect(refusal).toMatchObject({ status, message: expect.stringContaining(words) });
});

test.each(['127.0.0.1', '0.0.0.0', '169.254.169.254', '224.0.0.1', '255.255.255.255'])(
  '%s is refused although a Node says that it has it',
  async (address) => {
    nodes = [[address]];
    await expect(destinations().find(address)).rejects.toMatchObject({ status: 403 });
  },
);

test('many connections to one pod ask once, and again when the answer is old', async () => {
  const found = destinations();
  await Promise.all([1, 2, 3].map(() => found.find('10.2.0.5')));
  now = 4999;
  await found.find('10.2.0.5');
  expect(asked).toHaveLength(1);
  now = 5000;
  await found.find('10.2.0.5');
  expect(asked).toHaveLength(2);
});

test('an address that passed to another pod is found again once it is forgotten', async () => {
  const found = destinations();
  await found.find('10.2.0.5');
  pods['10.2.0.5'] = [{ namespace: 'default', name: 'next' }];
  found.forget('10.2.0.5');
  expect(await found.find('10.2.0.5')).toMatchObject({ name: 'next' });
});

test('of two pods with one address neither is taken', async () => {
  pods['10.2.0.5']!.push({ namespace: 'default', name: 'next' });
  await expect(destinations().find('10.2.0.5')).rejects.toMatchObject({ status: 503 });
});

test('a new node is found a second later, a node that left is refused a minute later', async () => {
  const found = destinations();
  await expect(found.find('192.168.0.13')).rejects.toMatchObject({ status: 403 });
  nodes = [['192.168.0.13']];
  await expect(found.find('192.168.0.13')).rejects.toMatchObject({ status: 403 });
  now = 1000;
  await found.find('192.168.0.13');
  nodes = [[]];
  now = 60_999;
  await found.find('192.168.0.13');
  now = 61_000;
  await expect(found.find('192.168.0.13')).rejects.toMatchObject({ status: 403 });
});

test('strangers cannot make it list the nodes more than once a second', async () => {
  const found = destinations();
  for (let last = 1; last < 50; last++) await found.find(`192.168.1.${last}`).catch(() => undefined);
  expect(asked).toEqual(['/api/v1/nodes', '/api/v1/nodes1']);
});
