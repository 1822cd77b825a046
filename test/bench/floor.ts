import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { problemOfFirstPod } from '../../src/hosted/usable.ts';
import { connectHosted, type HostedAccess } from '../../src/kube/connect.ts';
import { ApiError, ConnectionError } from '../../src/kube/errors.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import { buildKubeconfig } from '../../src/kubeconfig/build.ts';
import { type Credential, createAuthority, createKeyPair, issueLeaf } from '../../src/pki/issue.ts';
import { ensureBinaries } from '../../src/sandbox/artifacts/ensure.ts';
import type { Reporter } from '../../src/ui/reporter.ts';
import { freePort } from '../free-port.ts';

/** The floor is asked twice as often as deploy asks a plane. */
const pollEvery = 50;
const limit = 120_000;

/**
 * The floor: no plane can be faster than etcd, kube-apiserver and kube-controller-manager as bare processes on this box, with
 * TLS and certificates as a plane has them. Everything is prepared beforehand.
 */
export class Floor {
  readonly #programs: Record<Program, string>;
  readonly #pki: Pki;

  private constructor(programs: Record<Program, string>, pki: Pki) {
    this.#programs = programs;
    this.#pki = pki;
  }

  static async prepare(kubernetesVersion: string, reporter: Reporter): Promise<Floor> {
    const programs = await ensureBinaries([...programNames], { kubernetesVersion }, reporter);
    return new Floor(programs, await makePki());
  }

  /** @returns milliseconds from the start of the first process until a dry run of a pod passes; all are ended again */
  measure(): Promise<number> {
    return this.run(async ({ usableMs }) => usableMs, true);
  }

  /**
   * Starts etcd and the API server, has `work` use them once they are ready, and ends them again.
   *
   * @param usable also starts the controller-manager at the API server's first answer, as deploy does, and waits until a pod can be made
   */
  async run<T>(work: (processes: BareProcesses) => Promise<T>, usable = false): Promise<T> {
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
      await until(() => answers(cluster), folder);
      if (usable)
        children.push(
          start(folder, this.#programs['kube-controller-manager'], managerArguments(folder, files, access)),
        );
      await until(async () => (await answers(cluster))?.ready, folder);
      if (usable) await until(async () => !(await problemOfFirstPod(cluster, 'bench')), folder);
      const usableMs = performance.now() - started;
      return await work({ usableMs, access, pids: children.map(({ pid }) => pid!) });
    } finally {
      await cluster.close();
      await Promise.all(children.reverse().map(end));
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

export interface BareProcesses {
  /** Milliseconds from the start of the first process. */
  usableMs: number;
  /** Connects as an administrator. */
  access: HostedAccess;
  /** etcd's and the API server's. */
  pids: number[];
}

const programNames = ['etcd', 'kube-apiserver', 'kube-controller-manager'] as const;
type Program = (typeof programNames)[number];

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

/** As in a plane's profile: at the default rate, ServiceAccounts are made seconds later. */
function managerArguments(
  folder: string,
  file: Files,
  { server, certificateAuthority, client }: HostedAccess,
): string[] {
  const kubeconfig = path.join(folder, 'controller-manager.kubeconfig');
  const names = { clusterName: 'floor', userName: 'controller-manager' };
  writeFileSync(kubeconfig, buildKubeconfig({ server, certificateAuthority, client, ...names }), { mode: 0o600 });
  return [
    `--kubeconfig=${kubeconfig}`,
    '--bind-address=127.0.0.1',
    '--secure-port=0',
    '--leader-elect=false',
    '--use-service-account-credentials=true',
    `--service-account-private-key-file=${file('sa.key')}`,
    `--root-ca-file=${file('ca.crt')}`,
    '--kube-api-qps=100',
    '--kube-api-burst=200',
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

/** @returns undefined when nobody does */
async function answers(cluster: HostedCluster): Promise<{ ready: boolean } | undefined> {
  return cluster.ready(2000).catch((error) => {
    if (error instanceof ConnectionError) return undefined;
    if (error instanceof ApiError) return { ready: false };
    throw error;
  });
}

async function until(done: () => Promise<unknown>, folder: string): Promise<void> {
  const deadline = Date.now() + limit;
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`no pod can be made with the bare processes:\n${lastWords(folder)}`);
    await sleep(pollEvery);
  }
}

function lastWords(folder: string): string {
  return programNames
    .filter((name) => existsSync(path.join(folder, `${name}.log`)))
    .map((name) =>
      readFileSync(path.join(folder, `${name}.log`), 'utf8')
        .trim()
        .split('\n')
        .slice(-5)
        .join('\n'),
    )
    .join('\n');
}
