import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { load } from 'js-yaml';
import { afterEach, beforeEach } from 'vitest';
import { parseSpec } from '../config/parse.ts';
import type { Addresses } from '../plane/addresses.ts';
import { workerScript } from './worker-script.ts';

export const server = 'https://k.example.com:443';
export const addresses = { workerServer: server, nodePort: 31234 } as Addresses;
export const spec = (more: object = {}) =>
  parseSpec({ host: 'k.example.com', kubernetesVersion: '1.37.2', ...more }, 'here');

/** What worker.sh asks of programs; functions, because BusyBox asks no PATH for what it has itself. */
export const programs = `
id() { echo "\${WHO:-0}"; }
hostname() { echo "\${NAME:-worker-1}"; }
getent() { [ "$2" != k.example.com ] || echo '10.0.0.1 STREAM k.example.com'; }
ip() {
  case "$*" in
    'route get'*) [ -z "$WAY" ] || echo "$3 via 10.0.0.254 dev eth0 src $WAY uid 0" ;;
    '-6 route'*) echo "$ROUTE6" ;;
    '-o -6'*) for each in $IPV6; do echo "1: \${each%%=*}    inet6 \${each#*=}/64 scope global x"; done ;;
    *) printf '1: %s    inet %s/24 brd 10.0.0.255 scope global x\\n' lo 127.0.0.1 eth0 10.0.0.5 eth1 192.168.7.5 ;;
  esac
}
curl() {
  cat >/dev/null
  case "$REFUSED $*" in ?*--cacert*) [ -z "$REFUSED" ] || { echo "curl: (60) $REFUSED"; return 60; } ;; esac
  printf 'HTTP/2 %s\\r\\ndate: %s\\r\\n\\r\\n' "\${CODE:-200}" "$DATE"
}
modprobe() { return 1; }
df() { printf 'Filesystem 1024-blocks Used Available Capacity Mounted\\n/dev/vda 100 20 80 %s%% /\\n' "\${FULL:-20}"; }
`;

export const certificate = (text: string) =>
  `-----BEGIN CERTIFICATE-----\n${text}\n${text}\n-----END CERTIFICATE-----\n`;
export const kubeconfig = (at: string, authority: string, token = 'abcdef.0123456789abcdef') =>
  `apiVersion: v1\nclusters:\n  - name: k\n    cluster:\n      server: ${at}\n      certificate-authority-data: ${Buffer.from(authority).toString('base64')}\nusers:\n  - name: k\n    user:\n      token: ${token}\n`;

/** A machine that can be a worker: cgroup v2, systemd, containerd 2. */
const machine: Record<string, string> = {
  '/sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io memory pids\n',
  '/proc/swaps': 'Filename Type Size Used Priority\n',
  '/proc/sys/net/ipv4/ip_forward': '1\n',
  '/proc/sys/net/bridge/bridge-nf-call-iptables': '1\n',
  '/sys/module/vxlan/refcnt': '1\n',
  '/sys/class/net/eth0/mtu': '1450\n',
  '/run/systemd/system/x': '',
  '/etc/resolv.conf': 'search example.com\nnameserver 10.0.0.53\n',
  '/etc/containerd/config.toml': containerd2(true),
  '/etc/kubernetes/tls/kubeconfig-kubelets': kubeconfig(server, certificate('ours')),
  '/etc/kubernetes/tls/ca.pem': certificate('ours'),
  ...Object.fromEntries(['bridge', 'host-local', 'loopback', 'portmap'].map((name) => [`/opt/cni/bin/${name}`, ''])),
};

export function containerd2(systemd: boolean, runtime = 'runc'): string {
  return `version = 3
disabled_plugins = []
[plugins]
  [plugins.'io.containerd.cri.v1.runtime']
    [plugins.'io.containerd.cri.v1.runtime'.containerd]
      default_runtime_name = '${runtime}'
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.other.options]
        SystemdCgroup = ${!systemd}
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.${runtime}.options]
        BinaryName = ''
        SystemdCgroup = ${systemd} # so
    [plugins.'io.containerd.cri.v1.runtime'.cni]
      bin_dirs = ['/opt/cni/bin']
      conf_dir = '/etc/cni/net.d'
`;
}

export const containerd1 = (systemd: boolean) => `version = 2
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
    SystemdCgroup = ${systemd}
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/opt/cni/bin"
`;

export const cgroup1 = {
  '/sys/fs/cgroup/cgroup.controllers': undefined,
  '/proc/cgroups': '#subsys_name hierarchy num_cgroups enabled\ncpu 1 1 1\nmemory 4 56 1\npids 8 1 1\n',
};

export type Change = Record<string, string | undefined>;

const named = (word: string, text: string) =>
  [...text.matchAll(new RegExp(`^${word}  ([a-z0-9-]+):`, 'gm'))].map(([, name]) => name!);
export const failuresOf = (text: string): string[] => named('FAIL', text);

interface Ran {
  code: number | null;
  out: string;
  /** Names of checks by what came out. */
  failed: string[];
  warned: string[];
}

/** A folder that stands in for a machine on which containerd answers. Each test of the file that asks for it has a new one. */
export function standInMachine() {
  let root: string;
  let containerd: Server;

  beforeEach(async () => {
    root = mkdtempSync(path.join(tmpdir(), 'worker-'));
    mkdirSync(path.join(root, 'run/containerd'), { recursive: true });
    containerd = createServer();
    await new Promise<void>((done) => containerd.listen(path.join(root, 'run/containerd/containerd.sock'), done));
  });

  afterEach(async () => {
    await new Promise((done) => containerd.close(done));
    rmSync(root, { recursive: true, force: true });
  });

  const at = (file: string) => path.join(root, file);
  const read = (file: string) => readFileSync(at(file), 'utf8');
  return {
    /** Where a file of the machine lies. */
    at,
    read,
    configuration: () => load(read('/var/lib/kubelet/config.yaml')) as Record<string, unknown>,
    /** Writes the files of `machine`, with those of `change` in their place. */
    furnish: (change?: Change) => furnish(root, change),
    run: (shell: string[], subcommand: string, env?: NodeJS.ProcessEnv, script?: string) =>
      runIn(root, shell, subcommand, env, script),
  };
}

function furnish(root: string, change: Change = {}): void {
  for (const [file, text] of Object.entries({ ...machine, ...change })) {
    const place = path.join(root, file);
    if (text === undefined) continue;
    mkdirSync(path.dirname(place), { recursive: true });
    writeFileSync(place, text);
    if (file.startsWith('/opt/cni/bin')) chmodSync(place, 0o755);
  }
  const kubelet = path.join(root, 'usr/bin/kubelet');
  mkdirSync(path.dirname(kubelet), { recursive: true });
  writeFileSync(kubelet, '#!/bin/sh\necho Kubernetes v1.37.1\n', { mode: 0o755 });
}

function runIn(
  root: string,
  shell: string[],
  subcommand: string,
  env: NodeJS.ProcessEnv = {},
  script = workerScript(spec(), addresses),
): Ran {
  const file = path.join(root, 'worker.sh');
  writeFileSync(file, script);
  const { status, stdout, stderr } = spawnSync(
    shell[0]!,
    [...shell.slice(1), '-c', `${programs}\n. "$0" "$@"`, file, subcommand],
    {
      encoding: 'utf8',
      env: {
        PATH: process.env.PATH,
        K8SK8S_ROOT: root,
        KUBELET: '/usr/bin/kubelet',
        WAY: '10.0.0.5',
        DATE: new Date().toUTCString(),
        ...env,
      },
    },
  );
  return { code: status, out: stdout + stderr, failed: failuresOf(stdout), warned: named('WARN', stdout) };
}
