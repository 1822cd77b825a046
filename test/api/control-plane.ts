import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildKubeconfig } from '../../src/kubeconfig/build.ts';
import { type Credential, createAuthority, issueLeaf } from '../../src/pki/issue.ts';
import { ensureBinaries } from '../../src/sandbox/artifacts/ensure.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { freePort } from '../free-port.ts';
import { until } from '../until.ts';
import { bareApiServerFlags } from './bare-api-server.ts';

/** A real kube-apiserver with its etcd, as processes on loopback: admission, RBAC and validation, but no nodes. */
export interface ControlPlane {
  server: string;
  folder: string;
  authority: Credential;
  /** URLs of its etcd. */
  etcd: string[];
  /** Of its kube-apiserver. */
  pid: number;
  /** A kubeconfig file of a user; `organizations` are its groups. */
  kubeconfig(user: string, organizations?: string[], namespace?: string): Promise<string>;
  stop(): Promise<void>;
}

/**
 * @param tokens lines of kube-apiserver's --token-auth-file: TOKEN,USER,UID,"GROUPS"
 * @param flags more flags of kube-apiserver; `file` writes a file into the folder of this control plane
 * @param beside another control plane, of which this is one more API server
 */
export async function startControlPlane(
  tokens: string[] = [],
  flags: (file: (name: string, content: string) => string) => string[] = () => [],
  beside?: Pick<ControlPlane, 'etcd' | 'authority'>,
): Promise<ControlPlane> {
  const programs = await ensureBinaries(['etcd', 'kube-apiserver'], {}, terminalReporter());
  const folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-api-'));
  const file = (name: string, content: string) => {
    writeFileSync(path.join(folder, name), content, { mode: 0o600 });
    return path.join(folder, name);
  };
  const authority =
    beside?.authority ?? (await createAuthority('api tests', { now: new Date(Date.now() - 30 * 86_400_000) }));
  const [client, peer, secure] = [await freePort(), await freePort(), await freePort()];
  const children: ChildProcess[] = [];
  const start = (program: string, args: string[]) => {
    const log = openSync(path.join(folder, `${path.basename(program)}.log`), 'w');
    children.push(spawn(program, args, { stdio: ['ignore', log, log] }));
  };
  if (!beside)
    start(programs.etcd, [
      `--data-dir=${path.join(folder, 'etcd')}`,
      '--unsafe-no-fsync',
      `--listen-client-urls=http://127.0.0.1:${client}`,
      `--advertise-client-urls=http://127.0.0.1:${client}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
    ]);
  const more = flags(file);
  const etcd = beside?.etcd ?? [`http://127.0.0.1:${client}`];
  const bare = await bareApiServerFlags({ address: '127.0.0.1', port: secure, etcd, authority, file });
  // The first of several would go on signing.
  const issuerFlag = '--service-account-issuer=';
  start(programs['kube-apiserver'], [
    ...bare.filter((flag) => !(flag.startsWith(issuerFlag) && more.some((other) => other.startsWith(issuerFlag)))),
    ...(more.some((flag) => flag.startsWith('--authorization-config=')) ? [] : ['--authorization-mode=Node,RBAC']),
    '--allow-privileged=true',
    '--disable-admission-plugins=ServiceAccount',
    ...more,
    ...(tokens.length > 0 ? [`--token-auth-file=${file('tokens.csv', `${tokens.join('\n')}\n`)}`] : []),
  ]);
  const server = `https://127.0.0.1:${secure}`;
  const plane: ControlPlane = {
    server,
    folder,
    authority,
    etcd,
    pid: children.at(-1)!.pid!,
    async kubeconfig(user, organizations, namespace) {
      const credential = await issueLeaf(authority, { commonName: user, organizations, usages: ['clientAuth'] });
      return file(
        `${user}.kubeconfig`,
        buildKubeconfig({
          server,
          certificateAuthority: authority.certificate,
          clusterName: 'api',
          userName: user,
          client: credential,
          namespace,
        }),
      );
    },
    async stop() {
      for (const child of children.reverse()) {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        await ended;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await untilReady(plane);
  return plane;
}

async function untilReady({ server, folder, authority }: ControlPlane): Promise<void> {
  const log = () => readFileSync(path.join(folder, 'kube-apiserver.log'), 'utf8').split('\n').slice(-10).join('\n');
  await until(() => isReady(server, authority.certificate), {
    seconds: 90,
    said: () => `the API server of the tests does not start:\n${log()}`,
  });
}

function isReady(server: string, ca: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = https.get(`${server}/readyz`, { ca, timeout: 2000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.once('error', () => resolve(false));
    request.once('timeout', () => request.destroy());
  });
}
