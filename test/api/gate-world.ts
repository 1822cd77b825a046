import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { createServer as createTlsServer } from 'node:tls';
import { loadAll } from 'js-yaml';
import { expect } from 'vitest';
import type { KubeObject } from '../../src/kube/objects.ts';
import { type Credential, createAuthority, issueLeaf } from '../../src/pki/issue.ts';
import { until } from '../until.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { egressConfig, type GateProcess, ownAddress, startGate } from './gate-process.ts';

// What gate.test.ts attacks, and how it asks.

export const refused = 'refused by the gate of this control plane';
export const secret = 'SECRET OF A NEIGHBOUR';

export const box = ownAddress();
let folder: string;
let plane: ControlPlane;
export let gate: GateProcess;
let admin: Credential;
let agent: https.Agent;
let kubeletCa: Credential;
export let webCa: Credential;
/** A neighbour by HTTP, three by HTTPS, a kubelet of the cluster, and a webhook that was opened. */
export const ports = { plain: 0, tls: 0, unclaimed: 0, url: 0, kubelet: 0, opened: 0 };
/** Who was asked for something. */
export const served: string[] = [];
/** Who saw as much as a connection. */
export const connected: string[] = [];
const servers: Server[] = [];
/** Names of Nodes, all of which claim the address, by the type of the address and the port of their kubelet. */
export const claims = {
  InternalIP: { plain: '', tls: '', kubelet: '' },
  ExternalIP: { plain: '', tls: '', kubelet: '' },
};

/** Starts the servers that are attacked, the API server, and the gate beside it. */
export async function openGate(): Promise<void> {
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
  for (const object of loadAll(readFileSync('src/hosted/addons/gate.yaml', 'utf8')) as KubeObject[])
    await made(`/apis/${object.apiVersion}/${plurals[object.kind]}`, object);
  for (const type of ['InternalIP', 'ExternalIP'] as const)
    for (const target of ['plain', 'tls', 'kubelet'] as const)
      claims[type][target] = await aNode([{ type, address: box }], ports[target]);
}

export async function closeGate(): Promise<void> {
  gate?.process.kill('SIGKILL');
  await plane?.stop();
  agent?.destroy();
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true, force: true });
}

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
export function ask(
  method: string,
  at: string,
  body?: object,
  type = 'application/json',
  headers = {},
): Promise<Answer> {
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

export async function made(at: string, object: object): Promise<void> {
  const { status, body } = await ask('POST', at, object);
  if (status !== 201) throw new Error(`${at}: ${status} ${body}`);
}

let count = 0;
export const fresh = (kind: string) => `${kind}-${++count}`;

/** A Node with whatever addresses, of which it says that its kubelet listens at `port`. */
export async function aNode(addresses: { type: string; address: string }[], port: number): Promise<string> {
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

export async function aPod(nodeName: string, podIP: string, hostNetwork = false): Promise<string> {
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

/** A Service whose endpoints are written by hand. @param pod path of a Pod that they say to be of: a Service's proxy goes to no other */
export async function aService(port: number, pod?: string): Promise<string> {
  const targetRef = pod && { kind: 'Pod', namespace: 'default', name: pod.split('/').at(-1) };
  const name = fresh('service');
  await made('/api/v1/namespaces/default/services', {
    metadata: { name },
    spec: { ports: [{ port: 443, targetPort: port }] },
  });
  await made('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
    metadata: { name, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ port }],
    endpoints: [{ addresses: [box], conditions: { ready: true }, targetRef }],
  });
  return name;
}

/** What the API server says of a webhook that it has to call. */
export async function callsWebhook(clientConfig: object): Promise<Answer> {
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
  const configMap = { metadata: { generateName: 'x-' } };
  return answerOf(
    () => ask('POST', `/api/v1/namespaces/${namespace}/configmaps`, configMap),
    ({ status, body }) => status >= 400 && !/service "[^"]*" not found|no endpoints/.test(body),
  );
}

/** Webhooks, APIs and endpoints are known to the API server, and Nodes to the gate, a moment after they were made. */
export async function answerOf(request: () => Promise<Answer>, isKnown: (answer: Answer) => boolean): Promise<Answer> {
  let answer: Answer | undefined;
  return until(
    async () => {
      answer = await request();
      return isKnown(answer) && answer;
    },
    { every: 250, said: () => JSON.stringify(answer) },
  );
}

/** The end of every attack: nothing was fetched, and the answer tells nothing but what was asked. */
export function nothingLearnt({ status, body }: Answer, because: string | RegExp = refused): void {
  expect(status, body).toBeGreaterThanOrEqual(400);
  expect(body).toMatch(because);
  expect(body).not.toContain(secret);
  expect(body).not.toMatch(/ECONN|refused by peer|certificate signed|timed out|i\/o timeout|x509/i);
  expect(served.filter((name) => name !== 'kubelet' && name !== 'opened')).toEqual([]);
}
