import { copyFileSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ensureDaemon, inside } from './machine.ts';
import { waitUntil } from './process.ts';
import { type MachineState, machineFolder, type SandboxState, writeIfChanged } from './state.ts';

const socket = '/run/containerd/containerd.sock';
/** Where Debian's containernetworking-plugins puts its programs. */
const debianPlugins = '/usr/lib/cni';

/** containerd in the machine, answering. */
export async function ensureContainerd(state: SandboxState, machine: MachineState): Promise<void> {
  const folder = machineFolder(state, machine);
  for (const plugin of readdirSync(debianPlugins)) ensurePlugin(state, machine, path.join(debianPlugins, plugin));
  const config = path.join(folder, 'containerd.toml');
  writeIfChanged(config, configuration(folder));
  ensureDaemon(state, machine, 'containerd', ['containerd', '-c', config]);
  await waitUntil(`containerd on ${machine.name}`, 20, () => ctr(machine, 'version').then(() => true));
}

/** Puts a CNI plugin where the machine's containerd looks for plugins. */
export function ensurePlugin(state: SandboxState, machine: MachineState, program: string): void {
  const plugins = path.join(machineFolder(state, machine), 'root/opt/cni/bin');
  mkdirSync(plugins, { recursive: true });
  const place = path.join(plugins, path.basename(program));
  // The file of a running program cannot be written (ETXTBSY), but a rename can replace it.
  copyFileSync(program, `${place}.next`);
  renameSync(`${place}.next`, place);
}

function configuration(folder: string): string {
  return `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "${socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10"
  disable_apparmor = true
  # Boxes without CAP_SYS_RESOURCE cannot lower a score.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "${registryHosts(folder)}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
`;
}

/** Folder where containerd looks, at every pull, for a registry that replaces the one in the image's name (registry.ts). */
export const registryHosts = (folder: string): string => path.join(folder, 'registry-hosts');

/** Imports the archives that the machine does not have yet. Each machine's own record says which it has. */
export async function ensureImported(machine: MachineState, folder: string, archives: string[]): Promise<void> {
  const imported = path.join(folder, 'imported');
  mkdirSync(imported, { recursive: true });
  const done = new Set(readdirSync(imported));
  for (const archive of archives) if (!done.has(markOf(archive))) await importArchive(machine, folder, archive);
}

/** Imports an archive, also one that the machine has. @returns names of the images in it */
export async function importArchive(machine: MachineState, folder: string, archive: string): Promise<string[]> {
  const said = await ctr(machine, '-n', 'k8s.io', 'images', 'import', archive);
  const imported = path.join(folder, 'imported');
  mkdirSync(imported, { recursive: true });
  writeFileSync(path.join(imported, markOf(archive)), '');
  return [...said.matchAll(/^(?:unpacking )?(\S+[:@]\S+)/gm)].map(([, name]) => name!);
}

function markOf(archive: string): string {
  return archive.split(path.sep).slice(-4).join('_');
}

function ctr(machine: MachineState, ...args: string[]): Promise<string> {
  return inside(machine, ['ctr', '-a', socket, ...args]);
}
