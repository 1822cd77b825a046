import { connect, createServer, type Server } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import pLimit from 'p-limit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { KubeObject } from '../../src/kube/objects.ts';
import { createAuthority, issueLeaf } from '../../src/pki/issue.ts';
import { freePort } from '../free-port.ts';
import { runsAllOf } from '../test-all.ts';
import { startAgent, startHub, startKubelet, tunnelHost } from './tunnel-process.ts';
import {
  addressOf,
  agents,
  ask,
  closeTunnels,
  echoes,
  endAgents,
  eventually,
  folder,
  hub,
  isOpen,
  kubelet,
  kubeletCa,
  newAgent,
  newNode,
  opened,
  openTunnels,
  plane,
  port,
  restartHub,
  throughApi,
} from './tunnel-world.ts';

/*
 * Workers that nobody can dial: a real API server with the gate and the hub beside it, and real agents. The kubelets' addresses are of a
 * range that leads nowhere (RFC 5737), so whatever reaches one went through a tunnel.
 */

beforeAll(openTunnels);
afterEach(endAgents);
afterAll(closeTunnels);

describe('a worker that has a tunnel', () => {
  const count = runsAllOf('api/tunnel') ? 10_000 : 500;

  test(`${count} connections arrive whole while one is not read`, async () => {
    await newAgent('a', 'a');
    await eventually(() => isOpen('a'));
    const stalled = await opened('a');
    stalled.pause();
    const flood = Buffer.alloc(64 << 10);
    while (stalled.write(flood));
    const limit = pLimit(40);
    const bytes = Buffer.from('x'.repeat(1000));
    const results = await Promise.all(
      Array.from({ length: count }, () => limit(async () => echoes(await opened('a'), bytes).catch(String))),
    );
    expect(results.filter((each) => each !== true)).toEqual([]);
    stalled.destroy();
  });

  test('large transfers both ways arrive whole', async () => {
    await newAgent('a', 'a');
    await eventually(() => isOpen('a'));
    const bytes = Buffer.alloc(20 << 20, 'kubelet');
    expect(await echoes(await opened('a'), bytes)).toBe(true);
  });

  test('that dies ends what is open, refuses what comes after, and comes back', async () => {
    const { process: worker } = await newAgent('a', 'a');
    await eventually(() => isOpen('a'));
    const open = await opened('a');
    open.write('x');
    open.resume();
    worker.kill('SIGSTOP');
    // Nobody but the hub ends them: `deadAfter` of src/programs/tunnel/session.ts is how long it takes.
    const ended = new Promise((resolve) => open.once('close', resolve));
    await Promise.all([ended, expect(opened('a')).rejects.toThrow()]);
    await eventually(() => hub.log().includes('node a: no sign of life'));
    worker.kill('SIGCONT');
    await eventually(() => isOpen('a'));
  });

  test('is there again after its hub was killed and started again, without a new agent', async () => {
    await newAgent('a', 'a');
    await eventually(() => isOpen('a'));
    hub.process.kill('SIGKILL');
    await sleep(1500);
    await restartHub();
    await eventually(() => isOpen('a'));
    expect(await echoes(await opened('a'), Buffer.from('x'))).toBe(true);
  });

  test('has one to each of several hubs, which one address leads to in turn', async () => {
    const [second, balanced] = [await freePort(), await freePort()];
    const other = await startHub({
      server: plane.server,
      authority: plane.authority,
      folder,
      pod: 'two',
      port: second,
      kubeletPort: kubelet.a.port,
      socket: 'second.sock',
    });
    const balancer = await balance(balanced, [port, second]);
    try {
      await newAgent('a', 'a', plane.authority, balanced);
      await eventually(() => isOpen('a'));
      await tellHubs(['one', 'two']);
      await eventually(() => /there is a tunnel to one/.test(agents[0]!.log()) && /to two/.test(agents[0]!.log()));
      for (const socket of ['egress.sock', 'second.sock']) await eventually(() => isOpen('a', `${folder}/${socket}`));
    } finally {
      other.process.kill('SIGKILL');
      balancer.close();
      await ask('DELETE', slice);
    }
  });
});

const slice = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes';

/** As the gates beside the API servers write it. */
async function tellHubs(hubs: string[]): Promise<void> {
  const entries = Object.fromEntries(hubs.map((name) => [name, { address: '192.0.2.1', renewed: 0 }]));
  const annotations = { 'k8sk8s.io/api-servers': JSON.stringify(entries) };
  const found = await ask('GET', slice);
  const before = found.status === 200 ? (JSON.parse(found.body) as KubeObject) : undefined;
  const object = {
    metadata: { name: 'kubernetes', annotations, resourceVersion: before?.metadata.resourceVersion },
    addressType: 'IPv4',
    endpoints: [],
  };
  const { status, body } = await ask(before ? 'PUT' : 'POST', before ? slice : path.dirname(slice), object);
  if (status >= 300) throw new Error(body);
}

/** Leads to one port after the other, as a Service does by chance. */
async function balance(at: number, ports: number[]): Promise<Server> {
  let count = 0;
  const server = createServer((client) => {
    // The same one twice now and then.
    const target = connect(ports[Math.floor(count++ / 2) % ports.length]!, '127.0.0.1');
    for (const each of [client, target]) each.on('error', () => each.destroy());
    client.pipe(target).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(at, '127.0.0.1', resolve));
  return server;
}

describe('nobody gets in who has no node of the plane', () => {
  test('with a certificate of another CA', async () => {
    await newAgent('a', 'a', await createAuthority('another'));
    await eventually(() => hub.log().includes('refused at the door'));
    expect(agents[0]!.log()).not.toContain('there is a tunnel');
  });

  test.each([
    ['an administrator', { commonName: 'admin', organizations: ['system:masters'] }],
    ['a user who is called as a node', { commonName: 'system:node:a', organizations: ['users'] }],
    ['a member of the group that is no node', { commonName: 'a', organizations: ['system:nodes'] }],
  ])('with the certificate of %s', async (_, who) => {
    const before = hub.log().length;
    await newAgent(who, 'a');
    await eventually(() => hub.log().slice(before).includes(`${who.commonName} is no node`));
    expect(agents[0]!.log()).not.toContain('there is a tunnel');
  });

  test('the agent trusts nobody else than the plane: a hub of another CA learns nothing', async () => {
    const another = await createAuthority('another');
    const started = await startAgent(
      folder,
      plane.authority,
      { commonName: 'system:node:a' },
      { port, kubeletPort: kubelet.a.port, ca: another.certificate },
    );
    agents.push(started);
    await eventually(() => /no tunnel: .*certificate/.test(started.log()));
  });
});

test("a node that leads to another's kubelet does not get what is sent to that address", async () => {
  await newAgent('a', 'b');
  await eventually(() => /node a: its kubelet does not prove an address: .*CN=system:node:b/.test(hub.log()));
  expect(await isOpen('b')).toBe(false);
});

test.each([
  ['there is no Node', undefined],
  ['its Node has another', '203.0.113.5'],
])('a certificate proves no address when %s', async (_, address) => {
  const name = address === undefined ? 'd' : 'e';
  if (address !== undefined) await newNode(name, address);
  const serving = await issueLeaf(kubeletCa, {
    commonName: `system:node:${name}`,
    organizations: ['system:nodes'],
    ipAddresses: [addressOf.b],
    usages: ['serverAuth'],
  });
  const { server, port: kubeletPort } = await startKubelet(serving, `kubelet ${name}`);
  try {
    const who = { commonName: `system:node:${name}` };
    agents.push(await startAgent(folder, plane.authority, who, { port, kubeletPort, ca: plane.authority.certificate }));
    await eventually(() =>
      hub.log().includes(`node ${name}: its kubelet does not prove an address: the Node has none`),
    );
    expect(await isOpen('b')).toBe(false);
  } finally {
    server.close();
  }
});

test('no tunnel leads to an address of the pod network, whatever certificate and Node have it', async () => {
  const ipAddresses = [addressOf.f, addressOf.pod];
  await newNode('f', ...ipAddresses);
  const serving = await issueLeaf(kubeletCa, {
    commonName: 'system:node:f',
    organizations: ['system:nodes'],
    ipAddresses,
    usages: ['serverAuth'],
  });
  const { server, port: kubeletPort } = await startKubelet(serving, 'kubelet f');
  try {
    const who = { commonName: 'system:node:f' };
    agents.push(await startAgent(folder, plane.authority, who, { port, kubeletPort, ca: plane.authority.certificate }));
    await eventually(() => isOpen('f'));
    expect(await isOpen('pod')).toBe(false);
  } finally {
    server.close();
  }
});

test('of two nodes with one address none is chosen', async () => {
  await newNode('c', addressOf.a);
  const serving = await issueLeaf(kubeletCa, {
    commonName: 'system:node:c',
    organizations: ['system:nodes'],
    ipAddresses: [addressOf.a],
    usages: ['serverAuth'],
  });
  const third = await startKubelet(serving, 'kubelet c');
  try {
    await newAgent('a', 'a');
    await eventually(() => isOpen('a'));
    agents.push(
      await startAgent(
        folder,
        plane.authority,
        { commonName: 'system:node:c' },
        { port, kubeletPort: third.port, ca: plane.authority.certificate },
      ),
    );
    await eventually(async () => !(await isOpen('a')));
    await eventually(() => hub.log().includes('the nodes a and c have this address both'));
  } finally {
    third.server.close();
    // As long as it is there, the address is its kubelet's, which has the newer certificate.
    await ask('DELETE', '/api/v1/nodes/c');
  }
});

test('pods of a worker reach the API by the same name, with the certificate of their node', async () => {
  const node = await issueLeaf(plane.authority, {
    commonName: 'system:node:a',
    organizations: ['system:nodes'],
    usages: ['clientAuth'],
  });
  const ca = plane.authority.certificate;
  const outer = connectTls({
    port,
    host: '127.0.0.1',
    servername: tunnelHost,
    ca,
    cert: node.certificate,
    key: node.key,
  });
  const inner = connectTls({ socket: outer, servername: '127.0.0.1', ca, checkServerIdentity: () => undefined });
  inner.write('GET /livez HTTP/1.1\r\nHost: kubernetes.default\r\nConnection: close\r\n\r\n');
  expect(await text(inner)).toMatch(/^HTTP\/1.1 200 OK/);
});

test('a worker gets its tunnel while strangers hold 400 connections and say nothing', async () => {
  const strangers = Array.from({ length: 400 }, () => connect(port, '127.0.0.1'));
  const ended: number[] = [];
  for (const [index, each] of strangers.entries())
    each.on('error', () => undefined).once('close', () => ended.push(index));
  try {
    await Promise.all(strangers.map((each) => new Promise((resolve) => each.once('connect', resolve))));
    // The oldest had to go when others came, without a word of an agent.
    await eventually(() => ended.length >= 200);
    expect(ended.slice(0, 200).every((index) => index < 300)).toBe(true);
    await newAgent('a', 'a');
    await eventually(() => isOpen('a'));
  } finally {
    for (const each of strangers) each.destroy();
  }
});

test('a stranger reaches no API server by that name', async () => {
  const socket = connectTls({ port, host: '127.0.0.1', servername: tunnelHost, ca: plane.authority.certificate });
  const end = await new Promise<string>((resolve) => {
    socket.once('error', ({ message }) => resolve(message));
    socket.once('close', () => resolve('closed'));
    socket.resume();
  });
  expect(end).toMatch(/closed|certificate|reset/);
});

// Last: from now on the gate dials the address of this node when there is no tunnel.
test('the API server reaches a worker although nobody can dial its address', async () => {
  await newAgent('a', 'a');
  await eventually(() => isOpen('a'));
  await ask('PUT', '/api/v1/nodes/a/status', {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'a' },
    status: {
      addresses: [{ type: 'InternalIP', address: addressOf.a }],
      daemonEndpoints: { kubeletEndpoint: { Port: kubelet.a.port } },
    },
  });
  expect(await throughApi('a')).toEqual({ status: 200, body: 'kubelet a' });
});
