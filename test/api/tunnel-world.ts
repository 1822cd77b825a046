import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import https from 'node:https';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { loadAll } from 'js-yaml';
import type { KubeObject } from '../../src/kube/objects.ts';
import { type Credential, createAuthority, issueLeaf } from '../../src/pki/issue.ts';
import { freePort } from '../free-port.ts';
import { until } from '../until.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { egressConfig, type GateProcess, startGate } from './gate-process.ts';
import { startAgent, startHub, startKubelet, type TunnelProcess } from './tunnel-process.ts';

// The hub and the agents of tunnel.test.ts, and how it asks through them.

/** One of node f's is an address of the pod network. */
export const addressOf = { a: '203.0.113.1', b: '203.0.113.2', f: '203.0.113.6', pod: '10.2.0.9' };

export let folder: string;
export let plane: ControlPlane;
let gate: GateProcess;
export let hub: TunnelProcess;
let agent: https.Agent;
export let kubeletCa: Credential;
export let port: number;
export const kubelet = {} as Record<'a' | 'b', { server: Server; port: number }>;
/** Of the test that runs. */
export const agents: TunnelProcess[] = [];

/** Starts the API server with the gate and the hub beside it, and two kubelets. */
export async function openTunnels(): Promise<void> {
  folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-tunnel-'));
  kubeletCa = await createAuthority('kubelet-serving-ca');
  for (const name of ['a', 'b'] as const) kubelet[name] = await startKubelet(await servingOf(name), `kubelet ${name}`);
  plane = await startControlPlane([], (file) => [
    `--egress-selector-config-file=${file('egress.yaml', egressConfig(folder))}`,
    `--kubelet-certificate-authority=${file('kubelet-ca.crt', kubeletCa.certificate)}`,
  ]);
  const admin = await issueLeaf(plane.authority, {
    commonName: 'admin',
    organizations: ['system:masters'],
    usages: ['clientAuth'],
  });
  agent = new https.Agent({ ca: plane.authority.certificate, cert: admin.certificate, key: admin.key });
  gate = await startGate(plane, folder, kubeletCa.certificate, [], {}, 'gate.sock');
  for (const object of loadAll(readFileSync('src/hosted/addons/gate.yaml', 'utf8')) as KubeObject[]) await made(object);
  for (const object of loadAll(readFileSync('src/hosted/addons/access.yaml', 'utf8')) as KubeObject[])
    if (object.metadata.name === 'k8sk8s:api-server-endpoints') await made(object);
  for (const name of ['a', 'b'] as const) await newNode(name, addressOf[name]);
  port = await freePort();
  await restartHub();
}

/** Ends the agents of a test, and waits until their tunnels have ended. */
export async function endAgents(): Promise<void> {
  for (const { process } of agents.splice(0)) process.kill('SIGKILL');
  await eventually(() => tunnelsEnded(hub));
}

export async function closeTunnels(): Promise<void> {
  for (const each of [hub, gate]) each?.process.kill('SIGKILL');
  await plane?.stop();
  agent?.destroy();
  for (const { server } of Object.values(kubelet)) server.close();
  rmSync(folder, { recursive: true, force: true });
}

const plurals: Record<string, string> = {
  ClusterRole: 'clusterroles',
  ClusterRoleBinding: 'clusterrolebindings',
  FlowSchema: 'flowschemas',
  Role: 'roles',
  RoleBinding: 'rolebindings',
};

async function made(object: KubeObject): Promise<void> {
  const { namespace } = object.metadata;
  const at = `/apis/${object.apiVersion}/${namespace ? `namespaces/${namespace}/` : ''}${plurals[object.kind]}`;
  const { status, body } = await ask('POST', at, object);
  if (status !== 201) throw new Error(body);
}

/** Of no port, so that the gate, which knows the port of none of these kubelets, refuses at once what has no tunnel. */
export async function newNode(name: string, ...addresses: string[]): Promise<void> {
  const status = { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) };
  const { status: code, body } = await ask('POST', '/api/v1/nodes', { metadata: { name }, status });
  if (code !== 201) throw new Error(body);
}

function servingOf(name: 'a' | 'b'): Promise<Credential> {
  return issueLeaf(kubeletCa, {
    commonName: `system:node:${name}`,
    organizations: ['system:nodes'],
    ipAddresses: [addressOf[name]],
    dnsNames: [name],
    usages: ['serverAuth'],
  });
}

/** A hub at the port of before. */
export async function restartHub(): Promise<void> {
  const { server, authority } = plane;
  hub = await startHub({ server, authority, folder, pod: 'one', port, kubeletPort: kubelet.a.port });
}

export async function newAgent(
  who: string | { commonName: string; organizations: string[] },
  leadsTo: 'a' | 'b',
  authority = plane.authority,
  at = port,
): Promise<TunnelProcess> {
  const started = await startAgent(
    folder,
    authority,
    typeof who === 'string' ? { commonName: `system:node:${who}` } : who,
    { port: at, kubeletPort: kubelet[leadsTo].port, ca: plane.authority.certificate },
  );
  agents.push(started);
  return started;
}

export const eventually = (holds: () => boolean | Promise<boolean>) =>
  until(holds, { every: 50, said: () => hub.log().slice(-2000) });

/** Every tunnel that the log tells of has ended. */
function tunnelsEnded({ log }: TunnelProcess): boolean {
  return log().split('there is a tunnel').length <= log().split('the tunnel has ended').length;
}

export function ask(method: string, at: string, body?: object): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const request = https.request(
      `${plane.server}${at}`,
      { method, agent, headers: { 'Content-Type': 'application/json' } },
      async (response) => resolve({ status: response.statusCode!, body: await text(response) }),
    );
    request.once('error', reject);
    request.end(body && JSON.stringify(body));
  });
}

export const throughApi = (node: string) => ask('GET', `/api/v1/nodes/${node}/proxy/healthz`);

/** As the API server opens a connection: CONNECT on the socket of the egress selection. */
export function opened(node: keyof typeof addressOf, socketPath = `${folder}/egress.sock`): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ socketPath, method: 'CONNECT', path: `${addressOf[node]}:${kubelet.a.port}` });
    request.once('connect', ({ statusCode, statusMessage }, socket) => {
      socket.on('error', () => undefined);
      if (statusCode === 200) resolve(socket as Socket);
      else reject(new Error(statusMessage));
    });
    request.once('error', reject);
    request.end();
  });
}

/** Sends bytes there and back. */
export async function echoes(socket: Socket, bytes: Buffer): Promise<boolean> {
  socket.end(bytes);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).equals(bytes);
}

export const isOpen = (node: keyof typeof addressOf, socketPath?: string) =>
  opened(node, socketPath).then(
    (socket) => {
      socket.destroy();
      return true;
    },
    () => false,
  );
