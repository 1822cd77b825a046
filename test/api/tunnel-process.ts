import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import path from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { type Credential, issueLeaf } from '../../src/pki/issue.ts';
import agentProgram from '../../src/programs/tunnel/agent/main.ts?program';
import hubProgram from '../../src/programs/tunnel/hub/main.ts?program';
import { until } from '../until.ts';

/** The name of the tunnels in these tests, which leads to 127.0.0.1. */
export const tunnelHost = 'tunnel.example.com';

/** A program of the tunnel as a process. */
export interface TunnelProcess {
  process: ChildProcess;
  log(): string;
}

function start(folder: string, name: string, program: string, args: string[]): TunnelProcess {
  const file = path.join(folder, `${name}.mjs`);
  writeFileSync(file, program);
  const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (data) => (log += data));
  return { process: child, log: () => log };
}

/** What a hub needs. */
export interface HubOptions {
  server: string;
  authority: Credential;
  /** Where the gate beside it has its sockets and its credentials. */
  folder: string;
  pod: string;
  port: number;
  kubeletPort: number;
  /** Its socket, in `folder`. */
  socket?: string;
}

/** The hub's own program, which serves egress.sock in front of the gate's gate.sock. */
export async function startHub(options: HubOptions): Promise<TunnelProcess> {
  const { authority, folder, pod, port, socket = 'egress.sock' } = options;
  const { certificate, key } = await issueLeaf(authority, {
    commonName: 'tunnel',
    dnsNames: [tunnelHost],
    usages: ['serverAuth'],
  });
  const files = { 'tunnel.crt': certificate, 'tunnel.key': key, 'client-ca.crt': authority.certificate };
  for (const [name, content] of Object.entries(files)) writeFileSync(path.join(folder, name), content);
  const hub = start(folder, 'hub', hubProgram, [
    `--cluster=${folder}/${socket}`,
    `--gate=${folder}/gate.sock`,
    `--port=${port}`,
    `--kubelet-port=${options.kubeletPort}`,
    '--pod-cidr=10.2.0.0/16',
    `--server=${options.server}`,
    `--credentials=${folder}`,
    `--pod=${pod}`,
  ]);
  const listens = () => hub.log().includes(`listening on port ${port}`) && hub.log().includes(socket);
  await until(() => hub.process.exitCode !== null || listens(), { every: 10, said: hub.log });
  if (!listens()) throw new Error(hub.log());
  return hub;
}

/** The agent's own program, with the client certificate of `commonName`. */
export async function startAgent(
  folder: string,
  authority: Credential,
  who: { commonName: string; organizations?: string[] },
  options: { port: number; kubeletPort: number; ca: string },
): Promise<TunnelProcess> {
  const { certificate, key } = await issueLeaf(authority, {
    organizations: ['system:nodes'],
    ...who,
    usages: ['clientAuth'],
  });
  const credential = path.join(folder, `${who.commonName}.pem`);
  writeFileSync(credential, certificate + key);
  writeFileSync(path.join(folder, 'agent-ca.crt'), options.ca);
  return start(folder, 'agent', agentProgram, [
    `--host=${tunnelHost}`,
    '--dial=127.0.0.1',
    `--port=${options.port}`,
    `--ca=${folder}/agent-ca.crt`,
    `--credential=${credential}`,
    `--kubelet-port=${options.kubeletPort}`,
  ]);
}

/** What a kubelet is to a tunnel: TLS with a serving certificate. What does not begin as TLS is sent back as it came. */
export async function startKubelet(serving: Credential, answer: string): Promise<{ server: Server; port: number }> {
  const tls = createTlsServer({ cert: serving.certificate, key: serving.key }, (socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () =>
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${answer.length}\r\nConnection: close\r\n\r\n${answer}`),
    );
  });
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', (first: Buffer) => {
      socket.pause();
      socket.unshift(first);
      if (first[0] === 0x16) tls.emit('connection', socket);
      else socket.pipe(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}
