import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** What a sandbox could leave behind on the box: links, namespaces, mounts, rules, cgroups, kernel settings, hosts, processes. */
export type BoxState = Record<string, string[]>;

const sysctls = [
  'net/ipv4/ip_forward',
  'vm/overcommit_memory',
  'kernel/panic',
  'kernel/panic_on_oops',
  'net/bridge/bridge-nf-call-iptables',
  'fs/inotify/max_user_instances',
  'fs/inotify/max_user_watches',
  'kernel/unprivileged_bpf_disabled',
  'kernel/timer_migration',
];

export function boxState(): BoxState {
  return {
    links: lines('ip', '-br', 'link').map((line) => line.split(/\s+/)[0]!.split('@')[0]!),
    routes: lines('ip', 'route'),
    'network namespaces': lines('ip', 'netns', 'list').map((line) => line.split(' ')[0]!),
    mounts: readFileSync('/proc/self/mounts', 'utf8').split('\n'),
    'iptables rules': lines('iptables-save').filter((line) => line.startsWith('-A')),
    'nftables tables': lines('nft', 'list', 'tables'),
    cgroups: folders('/sys/fs/cgroup', 3),
    'kernel settings': sysctls.map((name) => `${name}=${readOr(`/proc/sys/${name}`)}`),
    folders: [
      '/etc/cni',
      '/opt/cni',
      '/opt/local-path-provisioner',
      '/var/lib/cni',
      '/var/lib/kubelet',
      '/var/lib/containerd',
      '/var/lib/rancher',
      '/var/log/pods',
      '/var/log/containers',
    ].filter((folder) => existsSync(folder)),
    hosts: readFileSync('/etc/hosts', 'utf8').split('\n'),
    processes: processes(),
  };
}

/** What `after` has more or other than `before`, a line each. */
export function difference(before: BoxState, after: BoxState): string[] {
  return Object.entries(after).flatMap(([what, items]) => {
    const known = new Set(before[what]);
    return items.filter((item) => !known.has(item)).map((item) => `${what}: ${item}`);
  });
}

function lines(program: string, ...rest: string[]): string[] {
  try {
    return execFileSync(program, rest, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .split('\n')
      .filter(Boolean);
  } catch {
    return [];
  }
}

function folders(root: string, depth: number): string[] {
  if (depth === 0) return [];
  try {
    return readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap((entry) => [path.join(root, entry.name), ...folders(path.join(root, entry.name), depth - 1)]);
  } catch {
    return [];
  }
}

/**
 * Programs that a cluster runs, but for those that the test runner started itself and ends later: the API server of the API tests
 * may still run. What the sandbox starts outlives its command, so that the runner is none of its ancestors. Programs that have
 * ended already do not count.
 */
function processes(): string[] {
  const parents = new Map<string, string>();
  const names = new Map<string, string>();
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const [, name, state, parent] = /^\d+ \((.*)\) (\S) (\d+)/s.exec(readOr(`/proc/${pid}/stat`)) ?? [];
    if (name === undefined || state === 'Z' || state === 'X') continue;
    names.set(pid, name);
    parents.set(pid, parent!);
  }
  const ours = (pid: string | undefined): boolean =>
    pid !== undefined && (pid === String(process.pid) || ours(parents.get(pid)));
  return [...names]
    .filter(([pid]) => !ours(pid))
    .map(([, name]) => name)
    .filter((name) => /^(etcd|kube|cilium|containerd|traefik|coredns|flanneld|local-path|pause|unshare)/.test(name));
}

function readOr(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}
