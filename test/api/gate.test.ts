import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { loadAll } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KubeObject } from '../../src/kube/objects.ts';
import { infraServiceNetworks } from '../../src/live/infra-services.ts';
import { type Credential, createAuthority, issueLeaf } from '../../src/pki/issue.ts';
import { thingsConvertedBy } from '../converted-by.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { egressConfig, type GateProcess, ownAddress, startGate } from './gate-process.ts';
import { newNamespace } from './world.ts';

/*
 * What the administrator of a hosted cluster can make its API server do, with a real API server and the gate's own program: the attacks
 * of docs/security.md in short. What is attacked are servers of this test, at an address of this machine which is not loopback,
 * as a pod of the infra cluster has one. Whatever way is tried, they see no request.
 */

const refused = 'refused by the gate of this control plane';
const secret = 'SECRET OF A NEIGHBOUR';

let box: string;
let folder: string;
let plane: ControlPlane;
let gate: GateProcess;
let admin: Credential;
let agent: https.Agent;
let kubeletCa: Credential;
let webCa: Credential;
/** A neighbour by HTTP, three by HTTPS, a kubelet of the cluster, and a webhook that was opened. */
const ports = { plain: 0, tls: 0, unclaimed: 0, url: 0, kubelet: 0, opened: 0 };
/** Who was asked for something. */
const served: string[] = [];
/** Who saw as much as a connection. */
const connected: string[] = [];
const servers: Server[] = [];
/** Names of Nodes, all of which claim the address, by the type of the address and the port of their kubelet. */
const claims = {
  InternalIP: { plain: '', tls: '', kubelet: '' },
  ExternalIP: { plain: '', tls: '', kubelet: '' },
};

beforeAll(async () => {
  box = ownAddress();
  folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-gate-'));
  [webCa, kubeletCa] = await Promise.all([createAuthority('web'), createAuthority('kubelet-serving-ca')]);
  const serving = { commonName: 'x', ipAddresses: [box], usages: ['serverAuth' as const] };
  const leaf = async (issuer: Credential) => {
    const { certificate: cert, key } = await issueLeaf(issuer, serving);
    return { cert, key };
  };
  const [web, kubelet] = await Promise.all([leaf(webCa), leaf(kubeletCa)]);
  ports.plain = await listen('plain', createTcpServer(answerer('plain')));
  ports.tls = await listen('tls', createTlsServer(web, answerer('tls')));
  ports.unclaimed = await listen('unclaimed', createTlsServer(web, answerer('unclaimed')));
  ports.url = await listen('url', createTlsServer(web, answerer('url')));
  ports.kubelet = await listen('kubelet', createTlsServer(kubelet, answerer('kubelet')));
  ports.opened = await listen('opened', createTlsServer(web, answerer('opened')));
  plane = await startControlPlane([], (file) => [
    `--egress-selector-config-file=${file('egress.yaml', egressConfig(folder))}`,
    `--kubelet-certificate-authority=${file('kubelet-ca.crt', kubeletCa.certificate)}`,
    '--enable-aggregator-routing=true',
    '--requestheader-allowed-names=front-proxy-client',
    `--requestheader-client-ca-file=${file('front-ca.crt', webCa.certificate)}`,
  ]);
  admin = await issueLeaf(plane.authority, {
    commonName: 'admin',
    organizations: ['system:masters'],
    usages: ['clientAuth'],
  });
  agent = new https.Agent({ ca: plane.authority.certificate, cert: admin.certificate, key: admin.key });
  gate = await startGate(plane, folder, kubeletCa.certificate, [`--open=${box}:${ports.opened}`]);
  for (const object of loadAll(readFileSync('templates/hosted/egress.yaml', 'utf8')) as KubeObject[])
    await made(`/apis/${object.apiVersion}/${plurals[object.kind]}`, object);
  for (const type of ['InternalIP', 'ExternalIP'] as const)
    for (const target of ['plain', 'tls', 'kubelet'] as const)
      claims[type][target] = await aNode([{ type, address: box }], ports[target]);
});

afterAll(async () => {
  gate?.process.kill('SIGKILL');
  await plane?.stop();
  agent?.destroy();
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true, force: true });
});

const plurals: Record<string, string> = {
  ClusterRole: 'clusterroles',
  ClusterRoleBinding: 'clusterrolebindings',
  FlowSchema: 'flowschemas',
};

/** One answer for whatever is asked, and the end: what is asked is all that counts. */
function answerer(name: string) {
  return (socket: Socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (data) => {
      // The gate's own handshake is no request.
      if (!/^[A-Z]+ \S+ HTTP/.test(String(data))) return socket.destroy();
      served.push(name);
      const head = name === 'opened' ? `307 Go on\r\nLocation: https://${box}:${ports.url}/` : '200 OK';
      socket.end(`HTTP/1.1 ${head}\r\nContent-Length: ${secret.length}\r\n\r\n${secret}`);
    });
  };
}

async function listen(name: string, server: Server): Promise<number> {
  servers.push(server);
  server.on('connection', () => connected.push(name));
  await new Promise<void>((resolve) => server.listen(0, box, resolve));
  return (server.address() as AddressInfo).port;
}

interface Answer {
  status: number;
  body: string;
}

/** A request of the administrator, or of somebody who was given another agent. */
function ask(method: string, at: string, body?: object, type = 'application/json', headers = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = https.request(
      `${plane.server}${at}`,
      { method, agent, headers: { 'Content-Type': type, ...headers } },
      async (response) => resolve({ status: response.statusCode!, body: await text(response) }),
    );
    request.once('upgrade', (response, socket) => {
      socket.destroy();
      resolve({ status: response.statusCode!, body: '' });
    });
    request.once('error', reject);
    request.end(body && JSON.stringify(body));
  });
}

async function made(at: string, object: object): Promise<void> {
  const { status, body } = await ask('POST', at, object);
  if (status !== 201) throw new Error(`${at}: ${status} ${body}`);
}

let count = 0;
const fresh = (kind: string) => `${kind}-${++count}`;

/** A Node with whatever addresses, of which it says that its kubelet listens at `port`. */
async function aNode(addresses: { type: string; address: string }[], port: number): Promise<string> {
  const name = fresh('node');
  await made('/api/v1/nodes', {
    metadata: { name },
    status: { addresses, daemonEndpoints: { kubeletEndpoint: { Port: port } } },
  });
  return name;
}

async function aNamespace(): Promise<string> {
  const name = fresh('space');
  await made('/api/v1/namespaces', { metadata: { name } });
  return name;
}

async function aPod(nodeName: string, podIP: string, hostNetwork = false): Promise<string> {
  const name = fresh('pod');
  const at = '/api/v1/namespaces/default/pods';
  await made(at, { metadata: { name }, spec: { nodeName, hostNetwork, containers: [{ name: 'x', image: 'x' }] } });
  const status = {
    phase: 'Running',
    podIP,
    podIPs: [{ ip: podIP }],
    containerStatuses: [{ name: 'x', image: 'x', imageID: 'x', ready: true, restartCount: 0, state: { running: {} } }],
  };
  await ask('PATCH', `${at}/${name}/status`, { status }, 'application/merge-patch+json');
  return `${at}/${name}`;
}

/** A Service whose endpoints are written by hand. */
async function aService(port: number, addresses = [box], more: object = {}): Promise<string> {
  const name = fresh('service');
  await made('/api/v1/namespaces/default/services', {
    metadata: { name },
    spec: { ports: [{ port: 443, targetPort: port }], ...more },
  });
  await made('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
    metadata: { name, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ port }],
    endpoints: [{ addresses, conditions: { ready: true } }],
  });
  return name;
}

/** What the API server says of a webhook that it has to call. */
async function callsWebhook(clientConfig: object): Promise<Answer> {
  const namespace = await aNamespace();
  await made('/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations', {
    metadata: { name: namespace },
    webhooks: [
      {
        name: `${namespace}.test.k8sk8s.io`,
        clientConfig,
        rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }],
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        failurePolicy: 'Fail',
        timeoutSeconds: 10,
      },
    ],
  });
  return eventuallyRefused(() =>
    ask('POST', `/api/v1/namespaces/${namespace}/configmaps`, { metadata: { generateName: 'x-' } }),
  );
}

/** Webhooks, APIs and endpoints are known to the API server a moment after they were made. */
async function eventuallyRefused(request: () => Promise<Answer>): Promise<Answer> {
  for (let time = 0; ; time++) {
    const answer = await request();
    if (answer.status >= 400 || time > 40) return answer;
    await sleep(250);
  }
}

/** The end of every attack: nothing was fetched, and the answer tells nothing but what was asked. */
function nothingLearnt({ status, body }: Answer, because: string | RegExp = refused): void {
  expect(status, body).toBeGreaterThanOrEqual(400);
  expect(body).toMatch(because);
  expect(body).not.toContain(secret);
  expect(body).not.toMatch(/ECONN|refused by peer|certificate signed|timed out|i\/o timeout|x509/i);
  expect(served.filter((name) => name !== 'kubelet' && name !== 'opened')).toEqual([]);
}

test('a kubelet of the cluster is reached at the port that its Node names', async () => {
  const { body } = await ask('GET', `/api/v1/nodes/${claims.InternalIP.kubelet}/proxy/metrics`);
  expect(body).toContain(secret);
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
    const name = await aService(ports[target]);
    const at = `/api/v1/namespaces/default/services/${scheme}:${name}:443/proxy/`;
    await sleep(1000);
    nothingLearnt(await ask('GET', at), new RegExp(`${refused}|no endpoints`));
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
    const { status, body } = await eventuallyRefused(() => ask('GET', `/apis/${group}/v1/things`));
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
    for (let time = 0; (await ask('POST', `/apis/${group}/v1/things`, thing)).status === 404 && time < 40; time++)
      await sleep(250);
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
