import { existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { run } from './process.ts';
import {
  allSandboxes,
  firstInfra,
  type MachineState,
  machineFolder,
  type SandboxState,
  writeIfChanged,
} from './state.ts';

/** A /24 of 10.200.0.0/16 that neither another sandbox nor the box itself uses. */
export function freeNetwork(): string {
  const taken = new Set([
    ...allSandboxes().map((state) => state.network),
    ...Object.values(networkInterfaces()).flatMap((addresses) =>
      (addresses ?? []).map(({ address }) => address.split('.').slice(0, 3).join('.')),
    ),
  ]);
  const free = Array.from({ length: 250 }, (_, index) => `10.200.${index + 1}`).find((network) => !taken.has(network));
  if (free === undefined) throw new Error('all networks of 10.200.0.0/16 are taken');
  return free;
}

const bridgeAddress = (state: SandboxState): string => `${state.network}.1`;

/** The bridge that all machines of a sandbox are plugged into; the box has its first address. */
export async function ensureBridge(state: SandboxState): Promise<void> {
  if (!(await linkExists(state.bridge))) await run('ip', ['link', 'add', state.bridge, 'type', 'bridge']);
  await run('ip', ['addr', 'replace', `${bridgeAddress(state)}/24`, 'dev', state.bridge]);
  await run('ip', ['link', 'set', state.bridge, 'up']);
}

export async function removeBridge(state: SandboxState): Promise<void> {
  for (const machine of state.machines) await removeLink(hostLink(state, machine));
  await removeLink(state.bridge);
}

/** A machine's resolv.conf, a file in its folder: names are asked of the sandbox's own DNS server. @returns its path */
export function ensureResolvConf(state: SandboxState, machine: MachineState): string {
  const file = path.join(machineFolder(state, machine), 'resolv.conf');
  writeIfChanged(file, `nameserver ${firstInfra(state).address}\n`);
  return file;
}

/** Gives the machine behind `init` its eth0. The pair vanishes with the machine's network namespace. */
export async function plugIn(state: SandboxState, machine: MachineState, init: number): Promise<void> {
  const link = hostLink(state, machine);
  await removeLink(link);
  await run('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(init)]);
  await run('ip', ['link', 'set', link, 'master', state.bridge, 'up']);
  const inside = (...args: string[]) => run('nsenter', ['-t', String(init), '-n', 'ip', ...args]);
  await inside('addr', 'replace', `${machine.address}/24`, 'dev', 'eth0');
  await inside('link', 'set', 'eth0', 'up');
  await inside('link', 'set', 'lo', 'up');
  await inside('route', 'replace', 'default', 'via', bridgeAddress(state));
}

/**
 * Gives a worker an IPv6 address of a private network for planes of two families, `fd00:10:200:1::12` beside 10.200.1.12, and lets it
 * pass packets on. Both go with the machine's network namespace. A box without IPv6 has planes of one family, and worker.sh says so of
 * another one.
 */
export async function ensureIpv6(state: SandboxState, machine: MachineState): Promise<void> {
  if (!existsSync('/proc/sys/net/ipv6')) return;
  const network = `fd00:${state.network.replaceAll('.', ':')}`;
  const address = `${network}::${machine.address.split('.').at(-1)}`;
  const inside = (...command: string[]) => run('nsenter', ['-t', String(machine.init!.pid), '-n', ...command]);
  // The kernel would try for a second whether it is somebody else's.
  await inside('ip', 'addr', 'replace', `${address}/64`, 'dev', 'eth0', 'nodad');
  // Nobody is there. Without a route a program of the machine could not dial the address of a Service, which leads to a pod.
  await inside('ip', '-6', 'route', 'replace', 'default', 'via', `${network}::1`, 'dev', 'eth0');
  await inside('sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1');
}

/** At most 15 characters: `k8s3fa9c1-w12`. */
function hostLink(state: SandboxState, machine: MachineState): string {
  return `${state.bridge}-${machine.role[0]}${machine.name.replace(/\D+/g, '')}`;
}

/** The kernel may take a link away at the same moment, with the network namespace of its other end. */
async function removeLink(name: string): Promise<void> {
  try {
    if (await linkExists(name)) await run('ip', ['link', 'del', name]);
  } catch (error) {
    if (await linkExists(name)) throw error;
  }
}

async function linkExists(name: string): Promise<boolean> {
  return run('ip', ['link', 'show', name]).then(
    () => true,
    () => false,
  );
}
