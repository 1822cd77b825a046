import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { cgroup2Mount, createCgroup, removeCgroup, trackingRoot } from './cgroup.ts';
import { ensureResolvConf, plugIn } from './network.ts';
import { isAlive, processIdentity, run, waitUntil } from './process.ts';
import { type MachineState, machineFolder, type SandboxState, saveState } from './state.ts';

/** Kernel settings of the whole box that kubelets and network drivers write: a machine sees a file in place of each. */
const shielded = [
  'vm/overcommit_memory',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/unprivileged_bpf_disabled',
  'kernel/timer_migration',
  'net/netfilter/nf_conntrack_max',
];

/** Folders that each machine has for itself; all others are the box's. */
const ownFolders = [
  '/etc/cni',
  '/opt/cni',
  '/var/lib/cni',
  '/var/lib/kubelet',
  '/var/lib/containerd',
  '/var/log/pods',
  '/var/log/containers',
  '/var/lib/rancher',
  '/opt/local-path-provisioner',
];

export const machineCgroup = (state: SandboxState, machine: MachineState): string => `${state.cgroup}/${machine.name}`;

/**
 * Starts a machine that is not running: namespaces for processes, network, mounts, host name, IPC and cgroups, process 1,
 * a network card and its own folders. What the kernel ends with process 1 needs no cleanup.
 *
 * @param init path of a static program that reaps orphans: the machine's process 1
 */
export async function ensureMachine(state: SandboxState, machine: MachineState, init: string): Promise<void> {
  if (isAlive(machine.init)) return;
  machine.daemons = {};
  // Folders of old pods would delay the kubelet: it looks for the container of each for 3 s.
  await removeCgroup(machineCgroup(state, machine));
  createCgroup(machineCgroup(state, machine));
  const folder = machineFolder(state, machine);
  mkdirSync(folder, { recursive: true });
  const parent = start(state, machine, 'machine', [
    'unshare',
    '--net',
    '--mount',
    '--uts',
    '--ipc',
    '--pid',
    '--cgroup',
    '--fork',
    '--kill-child=KILL',
    '--mount-proc',
    '--propagation',
    'private',
    init,
  ]);
  const pid = await waitUntil(
    `process 1 of ${machine.name}`,
    10,
    () => Number(readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ')[0]) || undefined,
    10,
  );
  machine.init = processIdentity(pid);
  saveState(state);
  await waitUntil(
    `the program of ${machine.name}`,
    10,
    () => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === path.basename(init).slice(0, 15) || undefined,
    10,
  );
  await prepareMounts(state, machine, folder);
  await plugIn(state, machine, pid);
  await inside(machine, ['hostname', machine.name]);
  await inside(machine, ['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
}

/** Creates a folder that the box does not have; `down` removes it. */
function makeMountPoint(state: SandboxState, own: string): void {
  const parts = own.split('/');
  for (let depth = 2; depth <= parts.length; depth++) {
    const folder = parts.slice(0, depth).join('/');
    if (existsSync(folder)) continue;
    state.folders.push(folder);
    saveState(state);
    mkdirSync(folder);
  }
}

/** A folder of the machine that is its own. @returns where the box has it */
export async function ensureOwnFolder(state: SandboxState, machine: MachineState, own: string): Promise<string> {
  makeMountPoint(state, own);
  const source = path.join(machineFolder(state, machine), 'root', own);
  mkdirSync(source, { recursive: true });
  await inside(machine, ['sh', '-c', 'mountpoint -q "$1" || mount --bind "$0" "$1"', source, own]);
  return source;
}

/** On many boxes, /etc/resolv.conf is a link to a file below /run, and each machine has its own /run. */
const overResolvConf = `target=$(readlink -m /etc/resolv.conf)
case $target in /run/*) mkdir -p "\${target%/*}" && : > "$target" ;; esac
[ ! -e "$target" ] || mount --bind "$0" "$target"`;

/** What a network driver pins there is the machine's, and goes with it. */
const ownBpffs = 'while umount /sys/fs/bpf 2>/dev/null; do :; done; mount -t bpf bpf /sys/fs/bpf';

async function prepareMounts(state: SandboxState, machine: MachineState, folder: string): Promise<void> {
  await inside(machine, ['mount', '--make-rshared', '/']);
  for (const setting of shielded) {
    if (!existsSync(`/proc/sys/${setting}`)) continue;
    const copy = path.join(folder, `shield-${path.basename(setting)}`);
    writeFileSync(copy, readFileSync(`/proc/sys/${setting}`));
    await inside(machine, ['mount', '--bind', copy, `/proc/sys/${setting}`]);
  }
  await inside(machine, ['mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', '/run']);
  await inside(machine, ['mkdir', '-p', '/run/netns', '/run/lock']);
  await inside(machine, ['sh', '-c', overResolvConf, ensureResolvConf(state, machine)]);
  // Kubelets copy the file into pods of the host network once, so it must not contain names whose address may change.
  const hosts = path.join(folder, 'hosts');
  writeFileSync(hosts, '127.0.0.1 localhost\n');
  await inside(machine, ['mount', '--bind', hosts, '/etc/hosts']);
  for (const own of ownFolders) await ensureOwnFolder(state, machine, own);
  if (existsSync('/sys/fs/bpf')) await inside(machine, ['sh', '-c', ownBpffs]);
  const unified = cgroup2Mount();
  if (unified) {
    // The inherited mount shows the cgroups of the whole box; a new mount shows those of the machine.
    await inside(machine, ['umount', unified]);
    await inside(machine, ['mount', '-t', 'cgroup2', 'cgroup2', unified]);
  }
}

/** Runs a program inside the machine to its end. @returns stdout */
export function inside(machine: MachineState, command: string[], options: { timeout?: number } = {}): Promise<string> {
  return run('nsenter', ['-t', String(machine.init!.pid), '-a', ...command], options);
}

/** Starts a program inside the machine, if it is not running; its output goes to NAME.log in the machine's folder. */
export function ensureDaemon(
  state: SandboxState,
  machine: MachineState,
  name: string,
  command: string[],
  environment: NodeJS.ProcessEnv = {},
): void {
  if (isAlive(machine.daemons[name])) return;
  const pid = start(state, machine, name, ['nsenter', '-t', String(machine.init!.pid), '-a', ...command], environment);
  machine.daemons[name] = processIdentity(pid);
  saveState(state);
}

/** Ends a program that was started in the machine, if it runs. nsenter passes no signal on to it. */
export async function endDaemon(state: SandboxState, machine: MachineState, name: string): Promise<void> {
  const daemon = machine.daemons[name];
  if (daemon && isAlive(daemon)) {
    const children = readFileSync(`/proc/${daemon.pid}/task/${daemon.pid}/children`, 'utf8').trim();
    for (const pid of children.split(' ').filter(Boolean)) process.kill(Number(pid), 'SIGKILL');
    await waitUntil(`the end of ${name} on ${machine.name}`, 10, () => !isAlive(daemon) || undefined, 20);
  }
  delete machine.daemons[name];
  saveState(state);
}

/** Spawns a program that belongs to the machine's cgroup from its first instruction on and outlives this process. */
function start(
  state: SandboxState,
  machine: MachineState,
  name: string,
  command: string[],
  environment: NodeJS.ProcessEnv = {},
): number {
  const log = openSync(path.join(machineFolder(state, machine), `${name}.log`), 'a');
  const procs = path.join(trackingRoot(), machineCgroup(state, machine), 'cgroup.procs');
  const child = spawn('sh', ['-c', 'echo $$ > "$0" && exec "$@"', procs, ...command], {
    detached: true,
    stdio: ['ignore', log, log],
    env: { PATH: process.env.PATH, HOME: '/root', ...environment },
  });
  child.unref();
  closeSync(log);
  if (child.pid === undefined) throw new Error(`${command[0]} could not be started`);
  return child.pid;
}

/** Stops a machine: all its processes end with its process 1. Its own folders are removed. */
export async function stopMachine(state: SandboxState, machine: MachineState): Promise<void> {
  const init = machine.init;
  if (init && isAlive(init)) {
    process.kill(init.pid, 'SIGKILL');
    await waitUntil(`the end of ${machine.name}`, 20, () => !isAlive(init) || undefined, 20);
  }
  machine.init = undefined;
  machine.daemons = {};
  saveState(state);
  // The kernel takes a machine's mounts away just after its last process.
  await waitUntil(`removing the files of ${machine.name}`, 20, () => {
    rmSync(machineFolder(state, machine), { recursive: true, force: true });
    return true;
  });
}

/** The last lines of a daemon's log, for error messages. */
export function lastLines(state: SandboxState, machine: MachineState, name: string, lines = 5): string {
  try {
    return readFileSync(path.join(machineFolder(state, machine), `${name}.log`), 'utf8')
      .trim()
      .split('\n')
      .slice(-lines)
      .join('\n');
  } catch {
    return '(no log)';
  }
}
