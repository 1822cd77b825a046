import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectHosted, type HostedAccess } from '../../src/kube/connect.ts';
import { ApiError, ConnectionError } from '../../src/kube/errors.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import { type Credential, createAuthority, createKeyPair, issueLeaf } from '../../src/pki/issue.ts';
import { ensureBinaries } from '../../src/sandbox/artifacts/ensure.ts';
import type { Reporter } from '../../src/ui/reporter.ts';

/** Twice as often as deploy asks. */
const pollEvery = 50;
const limit = 120_000;

/**
 * What no plane can be faster than: etcd and kube-apiserver as two bare processes on this box, with TLS and certificates
 * as a plane has them, everything prepared beforehand.
 */
export class Floor {
  readonly #programs: Record<'etcd' | 'kube-apiserver', string>;
  readonly #pki: Pki;

  private constructor(programs: Record<'etcd' | 'kube-apiserver', string>, pki: Pki) {
    this.#programs = programs;
    this.#pki = pki;
  }

  static async prepare(kubernetesVersion: string, reporter: Reporter): Promise<Floor> {
    const programs = await ensureBinaries(['etcd', 'kube-apiserver'], { kubernetesVersion }, reporter);
    return new Floor(programs, await makePki());
  }

  /** @returns milliseconds from the start of the first process to the first /readyz over verified TLS; both are ended again */
  measure(): Promise<number> {
    return this.run(async ({ readyMs }) => readyMs);
  }

  /** Starts both, has `work` use them once they are ready, and ends them again. */
  async run<T>(work: (processes: BareProcesses) => Promise<T>): Promise<T> {
    const folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-floor-'));
    const ports = { client: await freePort(), peer: await freePort(), secure: await freePort() };
    const files = writePki(folder, this.#pki);
    const access: HostedAccess = {
      server: `https://127.0.0.1:${ports.secure}`,
      certificateAuthority: this.#pki.authority.certificate,
      client: this.#pki.admin,
    };
    const cluster = connectHosted(access);
    const started = performance.now();
    const children = [
      start(folder, this.#programs.etcd, etcdArguments(folder, files, ports)),
      start(folder, this.#programs['kube-apiserver'], apiserverArguments(files, ports)),
    ];
    try {
      await untilReady(cluster, folder);
      const readyMs = performance.now() - started;
      return await work({ readyMs, access, pids: children.map(({ pid }) => pid!) });
    } finally {
      await cluster.close();
      await Promise.all(children.reverse().map(end));
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

export interface BareProcesses {
  /** Milliseconds from the start of the first process to the first /readyz. */
  readyMs: number;
  /** As an administrator. */
  access: HostedAccess;
  /** etcd's and the API server's. */
  pids: number[];
}

interface Pki {
  authority: Credential;
  etcd: Credential;
  etcdClient: Credential;
  apiserver: Credential;
  admin: Credential;
  serviceAccount: { publicKey: string; privateKey: string };
}

async function makePki(): Promise<Pki> {
  const authority = await createAuthority('floor');
  const server = { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] };
  return {
    authority,
    etcd: await issueLeaf(authority, { commonName: 'etcd', ...server, usages: ['serverAuth', 'clientAuth'] }),
    etcdClient: await issueLeaf(authority, { commonName: 'apiserver-etcd-client', usages: ['clientAuth'] }),
    apiserver: await issueLeaf(authority, { commonName: 'kube-apiserver', ...server, usages: ['serverAuth'] }),
    admin: await issueLeaf(authority, {
      commonName: 'admin',
      organizations: ['system:masters'],
      usages: ['clientAuth'],
    }),
    serviceAccount: await createKeyPair('ec'),
  };
}

type Files = (name: string) => string;

function writePki(folder: string, pki: Pki): Files {
  const write = (name: string, text: string) => writeFileSync(path.join(folder, name), text, { mode: 0o600 });
  write('ca.crt', pki.authority.certificate);
  for (const name of ['etcd', 'etcdClient', 'apiserver'] as const) {
    write(`${name}.crt`, pki[name].certificate);
    write(`${name}.key`, pki[name].key);
  }
  write('sa.pub', pki.serviceAccount.publicKey);
  write('sa.key', pki.serviceAccount.privateKey);
  return (name) => path.join(folder, name);
}

interface Ports {
  client: number;
  peer: number;
  secure: number;
}

function etcdArguments(folder: string, file: Files, { client, peer }: Ports): string[] {
  return [
    '--name=etcd-0',
    `--data-dir=${path.join(folder, 'data')}`,
    `--listen-client-urls=https://127.0.0.1:${client}`,
    `--advertise-client-urls=https://127.0.0.1:${client}`,
    `--listen-peer-urls=http://127.0.0.1:${peer}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
    `--initial-cluster=etcd-0=http://127.0.0.1:${peer}`,
    '--client-cert-auth=true',
    `--trusted-ca-file=${file('ca.crt')}`,
    `--cert-file=${file('etcd.crt')}`,
    `--key-file=${file('etcd.key')}`,
  ];
}

function apiserverArguments(file: Files, { client, secure }: Ports): string[] {
  return [
    `--secure-port=${secure}`,
    '--bind-address=127.0.0.1',
    `--etcd-servers=https://127.0.0.1:${client}`,
    `--etcd-cafile=${file('ca.crt')}`,
    `--etcd-certfile=${file('etcdClient.crt')}`,
    `--etcd-keyfile=${file('etcdClient.key')}`,
    `--client-ca-file=${file('ca.crt')}`,
    `--tls-cert-file=${file('apiserver.crt')}`,
    `--tls-private-key-file=${file('apiserver.key')}`,
    '--service-account-issuer=https://floor.k8sk8s.test',
    `--service-account-key-file=${file('sa.pub')}`,
    `--service-account-signing-key-file=${file('sa.key')}`,
    '--service-cluster-ip-range=10.3.0.0/16',
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--enable-bootstrap-token-auth=true',
    '--allow-privileged=true',
    '--endpoint-reconciler-type=none',
  ];
}

function start(folder: string, program: string, args: string[]): ChildProcess {
  const log = openSync(path.join(folder, `${path.basename(program)}.log`), 'w');
  const child = spawn(program, args, { stdio: ['ignore', log, log], cwd: folder });
  closeSync(log);
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

async function untilReady(cluster: HostedCluster, folder: string): Promise<void> {
  const deadline = Date.now() + limit;
  for (;;) {
    const { ready } = await cluster.ready(2000).catch((error) => {
      if (error instanceof ConnectionError || error instanceof ApiError) return { ready: false };
      throw error;
    });
    if (ready) return;
    if (Date.now() > deadline) throw new Error(`the bare API server does not become ready:\n${lastWords(folder)}`);
    await sleep(pollEvery);
  }
}

function lastWords(folder: string): string {
  return ['etcd', 'kube-apiserver']
    .map((name) =>
      readFileSync(path.join(folder, `${name}.log`), 'utf8')
        .trim()
        .split('\n')
        .slice(-5)
        .join('\n'),
    )
    .join('\n');
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
