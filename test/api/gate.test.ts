import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { infraServiceNetworks } from '../../src/live/infra-services.ts';
import { thingsConvertedBy } from '../converted-by.ts';
import {
  aNode,
  answerOf,
  aPod,
  aService,
  ask,
  box,
  callsWebhook,
  claims,
  closeGate,
  connected,
  fresh,
  gate,
  made,
  nothingLearnt,
  openGate,
  ports,
  refused,
  secret,
  served,
  webCa,
} from './gate-world.ts';
import { newNamespace } from './world.ts';

/*
 * What the administrator of a hosted cluster can make its API server do, with a real API server and the gate's own program: the attacks
 * of docs/security.md in short. What is attacked are servers of this test, at an address of this machine which is not loopback,
 * as a pod of the infra cluster has one. Whatever way is tried, they see no request.
 */

beforeAll(openGate);
afterAll(closeGate);

test('a kubelet of the cluster is reached at the port that its Node names', async () => {
  const metrics = () => ask('GET', `/api/v1/nodes/${claims.InternalIP.kubelet}/proxy/metrics`);
  await answerOf(metrics, ({ body }) => body.includes(secret));
  expect(served).toContain('kubelet');
});

describe.concurrent('a Node that is none', () => {
  test.each([
    ['InternalIP', 'http', 'plain'],
    ['InternalIP', 'https', 'tls'],
    ['ExternalIP', 'http', 'plain'],
    ['ExternalIP', 'https', 'tls'],
  ] as const)('with %s, by %s to %s, as the port of its kubelet and as another', async (type, scheme, target) => {
    const [own, other] = [claims[type][target], claims[type].kubelet];
    const answers = await Promise.all([
      ask('GET', `/api/v1/nodes/${own}/proxy/metrics`),
      ask('GET', `/api/v1/nodes/${scheme}:${own}:${ports[target]}/proxy/metrics`),
      ask('GET', `/api/v1/nodes/${scheme}:${other}:${ports.unclaimed}/proxy/metrics`),
    ]);
    for (const answer of answers) nothingLearnt(answer);
    expect(connected).not.toContain('unclaimed');
  });

  test.each([
    ['Hostname', 'neighbour.infra.svc.cluster.local'],
    ['InternalDNS', 'neighbour.infra.svc.cluster.local'],
    ['Hostname', 'localhost'],
    ['InternalIP', '127.0.0.1'],
    ['InternalIP', '127.0.0.2'],
    ['InternalIP', '0.0.0.0'],
    ['InternalIP', '169.254.169.254'],
    ['InternalIP', '::1'],
    ['InternalIP', '::ffff:127.0.0.1'],
    ['InternalIP', '64:ff9b::a9fe:a9fe'],
    ['InternalIP', '2130706433'],
    ['InternalIP', '0x7f000001'],
    ['InternalIP', '0177.0.0.1'],
    ['InternalIP', '127.1'],
    ['InternalIP', '224.0.0.1'],
    ['InternalIP', '10.2.0.7'],
  ])('with %s %s', async (type, address) => {
    const node = await aNode([{ type, address }], ports.tls);
    // The gate looks for new nodes once a second.
    await sleep(1100);
    // The API server itself refuses loopback and link-local, and names that it cannot resolve.
    const words = new RegExp(`${refused}|not allowed|no such host|no preferred addresses|lookup|server misbehaving`);
    nothingLearnt(await ask('GET', `/api/v1/nodes/https:${node}:${ports.tls}/proxy/`), words);
    nothingLearnt(await ask('GET', `/api/v1/nodes/${node}/proxy/`), words);
  });

  test('by an address in the notation of IPv6', async () => {
    const node = await aNode([{ type: 'InternalIP', address: `::ffff:${box}` }], ports.tls);
    nothingLearnt(await ask('GET', `/api/v1/nodes/${node}/proxy/`), new RegExp(`${refused}|not allowed`));
  });
});

describe.concurrent('a Pod that is none', () => {
  test.each([false, true])('with an address of its own choice, hostNetwork %s', async (hostNetwork) => {
    const proxied = [box, '10.2.0.9', '169.254.169.254'].map(async (address) => {
      const pod = await aPod(claims.InternalIP.tls, address, hostNetwork);
      const name = pod.split('/').at(-1);
      return ask('GET', `/api/v1/namespaces/default/pods/http:${name}:${ports.plain}/proxy/`);
    });
    for (const answer of await Promise.all(proxied)) nothingLearnt(answer, new RegExp(`${refused}|not allowed`));
  });

  test('by logs, with and without the check of the certificate, exec, attach and port-forward', async () => {
    const pod = await aPod(claims.InternalIP.tls, '10.2.0.10');
    const upgrade = {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Protocol': 'v5.channel.k8s.io',
    };
    const answers = await Promise.all([
      ask('GET', `${pod}/log`),
      ask('GET', `${pod}/log?insecureSkipTLSVerifyBackend=true`),
      ask('POST', `${pod}/exec?command=id&stdout=true`, undefined, undefined, {
        Connection: 'Upgrade',
        Upgrade: 'SPDY/3.1',
      }),
      ask('POST', `${pod}/attach?stdout=true`, undefined, undefined, { Connection: 'Upgrade', Upgrade: 'SPDY/3.1' }),
      ask('POST', `${pod}/portforward`, undefined, undefined, { Connection: 'Upgrade', Upgrade: 'SPDY/3.1' }),
      ask('GET', `${pod}/exec?command=id&stdout=true`, undefined, undefined, upgrade),
    ]);
    for (const answer of answers.slice(0, 2)) nothingLearnt(answer);
    for (const { body } of answers) expect(body).not.toContain(secret);
    expect(served).not.toContain('tls');
  });
});

describe.concurrent('a Service that leads out of the cluster', () => {
  test.each([
    ['http', 'plain'],
    ['https', 'tls'],
  ] as const)('by its proxy over %s', async (scheme, target) => {
    const ofAnybody = await aService(ports[target]);
    const ofItsPod = await aService(ports[target], await aPod(claims.InternalIP.tls, box));
    const at = (name: string) => `/api/v1/namespaces/default/services/${scheme}:${name}:443/proxy/`;
    // The API server asks nobody about addresses of no Pod, and the gate about this one, once it knows the endpoints.
    const isKnown = ({ body }: { body: string }) => !body.includes('no endpoints');
    nothingLearnt(await answerOf(() => ask('GET', at(ofItsPod)), isKnown));
    nothingLearnt(await ask('GET', at(ofAnybody)), 'no endpoints');
  });

  test('as a webhook', async () => {
    nothingLearnt(await callsWebhook({ service: { namespace: 'default', name: await aService(ports.tls) } }));
  });

  test.each(['localhost', 'neighbour.infra.svc.cluster.local', '127.0.0.1.example.com'])(
    'as a webhook, by the name %s',
    async (externalName) => {
      const name = fresh('named');
      await made('/api/v1/namespaces/default/services', {
        metadata: { name },
        spec: { type: 'ExternalName', externalName, ports: [{ port: ports.tls }] },
      });
      const service = { namespace: 'default', name, port: ports.tls };
      nothingLearnt(await callsWebhook({ service }), new RegExp(`${refused}|unsupported service type`));
    },
  );

  test('as an API of its own', async () => {
    const group = `${fresh('group')}.test.k8sk8s.io`;
    await made('/apis/apiregistration.k8s.io/v1/apiservices', {
      metadata: { name: `v1.${group}` },
      spec: {
        group,
        version: 'v1',
        service: { namespace: 'default', name: await aService(ports.tls) },
        insecureSkipTLSVerify: true,
        groupPriorityMinimum: 100,
        versionPriority: 100,
      },
    });
    const things = () => ask('GET', `/apis/${group}/v1/things`);
    const { status, body } = await answerOf(things, (answer) => answer.status !== 404);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(body).not.toContain(secret);
    expect(served).not.toContain('tls');
  });
});

describe.concurrent('a URL', () => {
  test.each([
    () => `${box}:${ports.url}`,
    () => `127.0.0.1:${ports.url}`,
    () => `localhost:${ports.url}`,
    () => `2130706433:${ports.url}`,
    () => `0x7f000001:${ports.url}`,
    () => `[::ffff:127.0.0.1]:${ports.url}`,
    () => `[::1]:${ports.url}`,
    () => '169.254.169.254',
    () => '[fd00:ec2::254]',
    () => '10.96.0.1',
    () => `[64:ff9b::${box}]:${ports.url}`,
    () => 'neighbour.infra.svc.cluster.local',
  ])('of a webhook: %s', async (target) => {
    nothingLearnt(await callsWebhook({ url: `https://${target()}/` }));
    expect(connected).not.toContain('url');
  });

  test('that was opened is called, and leads no further', async () => {
    const caBundle = Buffer.from(webCa.certificate).toString('base64');
    nothingLearnt(await callsWebhook({ url: `https://${box}:${ports.opened}/`, caBundle }), /refused by the gate|307/);
    expect(served).toContain('opened');
    expect(connected).not.toContain('url');
  });

  test('of a conversion', async () => {
    const group = `${fresh('group')}.test.k8sk8s.io`;
    const definition = thingsConvertedBy(`https://${box}:${ports.url}/`, group);
    await made('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definition);
    const thing = { apiVersion: `${group}/v1`, kind: 'Thing', metadata: { name: 'x' } };
    await answerOf(
      () => ask('POST', `/apis/${group}/v1/things`, thing),
      ({ status }) => status !== 404,
    );
    nothingLearnt(await ask('GET', `/apis/${group}/v2/things/x`));
  });
});

test('the log says which address was refused and why', () => {
  expect(gate.log()).toMatch(new RegExp(`controlplane: ${box}:${ports.url}: ${box} is closed`));
  expect(gate.log()).toMatch(/cluster: \S+: no kubelet of this cluster there: /);
});

test("the infra cluster's service network is learnt by a dry run that leaves nothing", async () => {
  const { cluster } = await newNamespace();
  expect(await infraServiceNetworks(cluster)).toEqual(['10.96.0.0/16']);
  expect((await cluster.list({ apiVersion: 'v1', kind: 'Service' })).items).toEqual([]);
});
