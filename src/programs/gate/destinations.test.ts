import { beforeEach, expect, test } from 'vitest';
import { Refusal } from '../connect-proxy/refusal.ts';
import { Destinations } from './destinations.ts';

let asked: string[];
let now: number;
let pods: Record<string, { namespace: string; name: string; deletionTimestamp?: string }[]>;
let nodes: { name: string; address: string; port?: number; podCIDRs?: string[] }[][];
/** The second addresses of pods, by their names. */
let seconds: Record<string, string>;

const api = {
  async get(path: string): Promise<unknown> {
    const url = new URL(path, 'https://api');
    asked.push(`${url.pathname}${url.searchParams.get('continue') ?? ''}`);
    if (url.pathname === '/api/v1/nodes') {
      const page = Number(url.searchParams.get('continue') ?? 0);
      return {
        metadata: { continue: page + 1 < nodes.length ? String(page + 1) : undefined },
        items: nodes[page]!.map(({ name, address, port, podCIDRs }) => ({
          metadata: { name },
          spec: { podCIDRs },
          status: {
            addresses: [{ type: 'InternalIP', address }],
            ...(port && { daemonEndpoints: { kubeletEndpoint: { Port: port } } }),
          },
        })),
      };
    }
    const [, which = ''] = /(?:status\.podIP|spec\.nodeName)=([^,]+)/.exec(
      url.searchParams.get('fieldSelector') ?? '',
    )!;
    // As the API server answers.
    const items = pods[which]?.map((metadata) => ({
      metadata,
      status: { podIPs: [{ ip: '10.2.0.5' }, { ip: seconds[metadata.name] }] },
    }));
    return { items: items ?? null };
  },
};
const destinations = () => new Destinations(api, '10.2.0.0/16,fd00:2::/56', () => now);
const web = { namespace: 'default', name: 'web' };
const neighbour = { namespace: 'kube-system', name: 'kube-proxy' };
const first = { name: 'worker-1', address: '192.168.0.11', podCIDRs: ['10.2.0.0/24', 'fd00:2::/64'] };
const second = { name: 'worker-2', address: '192.168.0.12', port: 10350 };

beforeEach(() => {
  asked = [];
  now = 0;
  seconds = { web: 'fd00:2::5' };
  pods = { '10.2.0.5': [web], 'worker-1': [neighbour] };
  nodes = [[first], [second]];
});

const refusalOf = (address: string, port = 443, found = destinations()) =>
  found.find(address, port).catch((error: unknown) => error);

test('an address inside the pod network leads to its pod', async () => {
  expect(await destinations().find('10.2.0.5', 8443)).toEqual({ kind: 'pod', ...web });
});

test('the second address of a pod leads to it, by way of the network of its node', async () => {
  pods['worker-1'] = [neighbour, web];
  expect(await destinations().find('fd00:2::5', 8443)).toEqual({ kind: 'pod', ...web });
  nodes = [[{ name: 'worker-1', address: 'fd12::11' }]];
  expect(await destinations().find('fd12::11', 10250)).toEqual({ kind: 'kubelet' });
});

test("a kubelet's port leads to the kubelet, where its Node says or at 10250, whichever page of the list it is on", async () => {
  expect(await destinations().find('192.168.0.11', 10250)).toEqual({ kind: 'kubelet' });
  expect(await destinations().find('192.168.0.12', 10350)).toEqual({ kind: 'kubelet' });
});

test("a node's other ports lead to a pod in its network that stays, and nowhere without one", async () => {
  pods['worker-1'] = [{ ...web, deletionTimestamp: 'now' }, neighbour];
  expect(await destinations().find('192.168.0.11', 9100)).toEqual({ kind: 'pod', ...neighbour });
  expect(await refusalOf('192.168.0.12', 10250)).toBeInstanceOf(Refusal);
});

test.each([
  ['a stranger', '192.168.0.99', 'no node'],
  ['a name', 'etcd0', 'names are not resolved'],
  ['loopback of IPv6', '::1', 'no node and no pod can'],
  ['an IPv4 address as IPv6', '::ffff:192.168.0.11', 'no node and no pod can'],
  ['another IPv6 address', 'fd12::1', 'no node has this address'],
  ['an address in another notation', '0x7f.1', 'no address'],
  ['an IPv6 address that no pod has', 'fd00:2::9', 'no pod has this address'],
  ['an address that no pod has', '10.2.0.9', 'no pod has this address'],
])('%s is refused', async (_, address, words) => {
  expect(await refusalOf(address)).toMatchObject({ message: expect.stringContaining(words) });
});

test.each(['127.0.0.1', '0.0.0.0', '169.254.169.254', '224.0.0.1', '255.255.255.255', '::', 'fe80::1', 'ff02::1'])(
  '%s is refused although a Node says that it has it',
  async (address) => {
    nodes = [[{ name: 'fake', address }]];
    expect(await refusalOf(address, 10250)).toBeInstanceOf(Refusal);
  },
);

test('an address of the pod network is no kubelet, although a Node says so', async () => {
  nodes = [[{ name: 'fake', address: '10.2.0.5' }]];
  expect(await refusalOf('10.2.0.5', 10250)).toMatchObject({ message: expect.stringContaining('node fake') });
});

test('without a pod network only nodes are reached', async () => {
  const found = new Destinations(api, undefined, () => now);
  expect(await refusalOf('10.2.0.5', 8443, found)).toBeInstanceOf(Refusal);
  expect(await found.find('192.168.0.11', 8443)).toMatchObject({ kind: 'pod' });
});

test('many connections to one pod ask once, and again when the answer is old', async () => {
  const found = destinations();
  await Promise.all([1, 2, 3].map(() => found.find('10.2.0.5', 80)));
  now = 4999;
  await found.find('10.2.0.5', 80);
  expect(asked.filter((path) => path === '/api/v1/pods')).toHaveLength(1);
  now = 5000;
  await found.find('10.2.0.5', 80);
  expect(asked.filter((path) => path === '/api/v1/pods')).toHaveLength(2);
});

test('an address that passed to another pod is found again once it is forgotten', async () => {
  const found = destinations();
  await found.find('10.2.0.5', 80);
  pods['10.2.0.5'] = [{ namespace: 'default', name: 'next' }];
  found.forget('10.2.0.5');
  expect(await found.find('10.2.0.5', 80)).toMatchObject({ name: 'next' });
});

test('of two pods with one address neither is taken', async () => {
  pods['10.2.0.5']!.push({ namespace: 'default', name: 'next' });
  expect(await refusalOf('10.2.0.5')).toMatchObject({ message: expect.stringContaining('2 pods') });
});

test('a new node is found a second later, a node that left is refused a minute later', async () => {
  const found = destinations();
  expect(await refusalOf('192.168.0.13', 10250, found)).toBeInstanceOf(Refusal);
  nodes = [[{ name: 'worker-3', address: '192.168.0.13' }]];
  expect(await refusalOf('192.168.0.13', 10250, found)).toBeInstanceOf(Refusal);
  now = 1000;
  await found.find('192.168.0.13', 10250);
  nodes = [[]];
  now = 60_999;
  await found.find('192.168.0.13', 10250);
  now = 61_000;
  expect(await refusalOf('192.168.0.13', 10250, found)).toBeInstanceOf(Refusal);
});

test('strangers cannot make it list the nodes more than once a second', async () => {
  const found = destinations();
  for (let last = 1; last < 50; last++) await refusalOf(`192.168.1.${last}`, 443, found);
  expect(asked).toEqual(['/api/v1/nodes', '/api/v1/nodes1']);
});
