import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { UserError } from '../base/errors.ts';
import { command, type OptionPart, option, words } from '../base/words.ts';
import type { ProcessIdentity } from './process.ts';

export interface MachineState {
  name: string;
  role: 'infra' | 'worker';
  /** Address on the sandbox's bridge. */
  address: string;
  /** Process 1 of the machine's PID namespace, as the box sees it. */
  init?: ProcessIdentity;
  /** Programs started in the machine, by name. */
  daemons: Record<string, ProcessIdentity>;
  /** Workers: the namespace of the plane that it joined. */
  claimedBy?: string;
}

/** The pod network of the infra cluster: CNI's bridge and routes, or one that enforces network policies. */
export type PodNetwork = 'bridge' | 'cilium';

/** What a sandbox has done to the box. Written before each effect, so that `down` finds it after a crash at any moment. */
export interface SandboxState {
  name: string;
  kubernetesVersion: string;
  /** Other versions whose images the infra nodes have, and whose kubelet a worker of a plane of theirs runs. */
  alsoVersions?: string[];
  /** `10.200.N`: the first three numbers of the machines' network. */
  network: string;
  bridge: string;
  podNetwork: PodNetwork;
  /** Name of the sandbox's cgroup in every hierarchy. */
  cgroup: string;
  machines: MachineState[];
  /** Names that lines in the hosts file were written for. */
  hosts: string[];
  /** Where those of them lead that do not lead to the ingress controller. */
  elsewhere?: Record<string, string>;
  /** Its load balancer has been asked for (load-balancer/switch.ts). */
  loadBalancer?: boolean;
  /** Empty folders made on the box for machines to mount their own over, parents first. */
  folders: string[];
}

/** Name of the sandbox where none is given. */
export const defaultSandbox = 'k8sk8s';

/** What names the sandbox in commands; empty for the default. */
export function nameOption(name: string): OptionPart[] {
  return name === defaultSandbox ? [] : [option('name', name)];
}

/** $K8SK8S_STATE, or k8sk8s below $XDG_STATE_HOME, or below ~/.local/state. */
export function stateRoot(env: NodeJS.ProcessEnv = process.env): string {
  return env.K8SK8S_STATE ?? path.join(env.XDG_STATE_HOME ?? path.join(homedir(), '.local', 'state'), 'k8sk8s');
}

export function sandboxFolder(name: string): string {
  return path.join(stateRoot(), 'sandboxes', name);
}

/** The machine that runs the infra cluster's control plane and its ingress controller. */
export function firstInfra(state: SandboxState): MachineState {
  return state.machines.find((machine) => machine.role === 'infra')!;
}

export function machineFolder(state: SandboxState, machine: MachineState): string {
  return path.join(sandboxFolder(state.name), machine.name);
}

/** @returns undefined when there is no sandbox of that name */
export function loadState(name: string): SandboxState | undefined {
  try {
    const saved = JSON.parse(readFileSync(path.join(sandboxFolder(name), 'state.json'), 'utf8')) as SandboxState;
    // Older sandboxes had no choice of the network, and do not record one.
    return { ...saved, podNetwork: saved.podNetwork ?? 'bridge' };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** @throws UserError when there is no such sandbox */
export function requireState(name: string): SandboxState {
  const state = loadState(name);
  if (state) return state;
  throw new UserError({
    what: `there is no sandbox "${name}" on this box`,
    fix: words`make it with: ${command('sandbox up', undefined, ...nameOption(name))}`,
    anchor: 'no-sandbox',
    kind: 'refused',
  });
}

export function saveState(state: SandboxState): void {
  const folder = sandboxFolder(state.name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  replaceFile(path.join(folder, 'state.json'), `${JSON.stringify(state, null, 2)}\n`);
}

/** Whoever reads the file meets all of the earlier content, or all of this. */
export function replaceFile(file: string, content: string): void {
  writeFileSync(`${file}.new`, content, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

export function newState(
  name: string,
  kubernetesVersion: string,
  network: string,
  podNetwork: PodNetwork = 'bridge',
): SandboxState {
  const id = createHash('sha256').update(name).digest('hex').slice(0, 6);
  return {
    name,
    kubernetesVersion,
    network,
    bridge: `k8s${id}`,
    podNetwork,
    cgroup: `k8sk8s-${name}`,
    machines: [],
    hosts: [],
    folders: [],
  };
}

/** All sandboxes of this box. */
export function allSandboxes(): SandboxState[] {
  try {
    return readdirSync(path.join(stateRoot(), 'sandboxes')).flatMap((name) => loadState(name) ?? []);
  } catch {
    return [];
  }
}

/** Writes a file only when its content changes: programs that watch their configuration exit when the file is written. */
export function writeIfChanged(file: string, content: string): void {
  let before: string | undefined;
  try {
    before = readFileSync(file, 'utf8');
  } catch {
    // Not there yet.
  }
  if (before !== content) writeFileSync(file, content, { mode: 0o600 });
}
