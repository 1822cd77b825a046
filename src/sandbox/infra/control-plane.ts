import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../../base/errors.ts';
import { command, words } from '../../base/words.ts';
import { ensureDaemon, lastLines } from '../machine.ts';
import { run, waitUntil } from '../process.ts';
import { firstInfra, machineFolder, type SandboxState } from '../state.ts';
import { apiServer, type InfraCredentials } from './credentials.ts';

type Programs = Record<'etcd' | 'kube-apiserver' | 'kube-controller-manager' | 'kube-scheduler' | 'kubectl', string>;

export const podNetwork = '10.244.0.0/16';
const serviceNetwork = '10.96.0.0/16';

/** etcd, API server, controller-manager and scheduler as processes of the first infra machine, until the API answers. */
export async function ensureControlPlane(
  state: SandboxState,
  programs: Programs,
  credentials: InfraCredentials,
): Promise<void> {
  ensureEtcd(state, programs);
  ensureApiServer(state, programs, credentials);
  await untilReady(state, programs, credentials);
  ensureApiServerClients(state, programs, credentials);
}

function ensureEtcd(state: SandboxState, programs: Programs): void {
  const machine = firstInfra(state);
  const data = path.join(machineFolder(state, machine), 'etcd');
  mkdirSync(data, { recursive: true, mode: 0o700 });
  // Without fsync: a sandbox's data need not survive a power cut, and small boxes have slow disks.
  ensureDaemon(state, machine, 'etcd', [
    programs.etcd,
    '--name=infra',
    `--data-dir=${data}`,
    '--unsafe-no-fsync',
    '--listen-client-urls=http://127.0.0.1:2379',
    '--advertise-client-urls=http://127.0.0.1:2379',
    '--listen-peer-urls=http://127.0.0.1:2380',
  ]);
}

function ensureApiServer(state: SandboxState, programs: Programs, credentials: InfraCredentials): void {
  const machine = firstInfra(state);
  const pki = (name: string) => credentials.file(name);
  ensureDaemon(state, machine, 'kube-apiserver', [
    programs['kube-apiserver'],
    '--etcd-servers=http://127.0.0.1:2379',
    `--advertise-address=${machine.address}`,
    `--client-ca-file=${pki('ca.crt')}`,
    `--tls-cert-file=${pki('apiserver.crt')}`,
    `--tls-private-key-file=${pki('apiserver.key')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${pki('service-account.pub')}`,
    `--service-account-signing-key-file=${pki('service-account.key')}`,
    `--encryption-provider-config=${pki('encryption.yaml')}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    `--service-cluster-ip-range=${serviceNetwork}`,
    '--allow-privileged=true',
    `--kubelet-client-certificate=${pki('admin.crt')}`,
    `--kubelet-client-key=${pki('admin.key')}`,
    `--kubelet-certificate-authority=${pki('ca.crt')}`,
    '--kubelet-preferred-address-types=InternalIP',
    // Aggregated API servers take the caller's name from request headers of this client alone.
    `--proxy-client-cert-file=${pki('front-proxy.crt')}`,
    `--proxy-client-key-file=${pki('front-proxy.key')}`,
    `--requestheader-client-ca-file=${pki('front-proxy-ca.crt')}`,
    '--requestheader-allowed-names=front-proxy-client',
    '--requestheader-extra-headers-prefix=X-Remote-Extra-',
    '--requestheader-group-headers=X-Remote-Group',
    '--requestheader-username-headers=X-Remote-User',
  ]);
}

async function untilReady(state: SandboxState, programs: Programs, credentials: InfraCredentials): Promise<void> {
  const kubeconfig = credentials.file('admin.kubeconfig');
  try {
    await waitUntil(
      'the API server of the infra cluster',
      60,
      async () =>
        (await run(programs.kubectl, [
          '--kubeconfig',
          kubeconfig,
          'get',
          '--raw',
          '/readyz',
          '--request-timeout=2s',
        ])) === 'ok',
      200,
    );
  } catch (error) {
    throw new UserError({
      what: `the sandbox's API server at ${apiServer(state)} does not become ready`,
      why: `its last words were\n${lastLines(state, firstInfra(state), 'kube-apiserver')}`,
      fix: words`take the sandbox down and up again: ${command('sandbox down')}`,
      anchor: 'sandbox-not-ready',
      cause: error,
    });
  }
}

/** Starts one controller-manager and one scheduler, which need no leader election. */
function ensureApiServerClients(state: SandboxState, programs: Programs, credentials: InfraCredentials): void {
  const machine = firstInfra(state);
  const pki = (name: string) => credentials.file(name);
  const common = ['--leader-elect=false'];
  ensureDaemon(state, machine, 'kube-controller-manager', [
    programs['kube-controller-manager'],
    `--kubeconfig=${pki('kube-controller-manager.kubeconfig')}`,
    `--service-account-private-key-file=${pki('service-account.key')}`,
    `--root-ca-file=${pki('ca.crt')}`,
    '--use-service-account-credentials=true',
    `--cluster-signing-cert-file=${pki('ca.crt')}`,
    `--cluster-signing-key-file=${pki('ca.key')}`,
    ...common,
  ]);
  ensureDaemon(state, machine, 'kube-scheduler', [
    programs['kube-scheduler'],
    `--kubeconfig=${pki('kube-scheduler.kubeconfig')}`,
    ...common,
  ]);
}
