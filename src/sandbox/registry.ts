import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import pLimit from 'p-limit';
import { registryHosts } from './containerd.ts';
import { ensureDaemon } from './machine.ts';
import { waitUntil } from './process.ts';
import { firstInfra, machineFolder, type SandboxState, writeIfChanged } from './state.ts';

// A registry on infra-1 for pods with imagePullPolicy Always: every machine's containerd uses it instead of all other registries.
// A sandbox has a registry only when a command asks for one, because all other pods run on imported images.

const port = 5000;

const addressOf = (state: SandboxState): string => `${firstInfra(state).address}:${port}`;

/** @param crane path of the program */
export async function ensureRegistry(state: SandboxState, crane: string): Promise<void> {
  const machine = firstInfra(state);
  const blobs = path.join(machineFolder(state, machine), 'registry');
  mkdirSync(blobs, { recursive: true });
  ensureDaemon(state, machine, 'registry', [crane, 'registry', 'serve', '--address', `:${port}`, '--disk', blobs]);
  await waitUntil('the registry on infra-1', 10, () => fetch(`http://${addressOf(state)}/v2/`).then(({ ok }) => ok));
  for (const each of state.machines) {
    const folder = path.join(registryHosts(machineFolder(state, each)), '_default');
    mkdirSync(folder, { recursive: true });
    writeIfChanged(path.join(folder, 'hosts.toml'), hosts(state));
  }
}

/** https://github.com/containerd/containerd/blob/main/docs/hosts.md */
function hosts(state: SandboxState): string {
  const server = `http://${addressOf(state)}`;
  return `server = "${server}"\n[host."${server}"]\n  capabilities = ["pull", "resolve"]\n`;
}

/**
 * Gives the registry images under the paths of their references: `a/b:1` for `registry.k8s.io/a/b:1`.
 *
 * @param images each with the archive that it is in
 */
export async function pushImages(
  state: SandboxState,
  crane: string,
  images: { reference: string; archive: string }[],
): Promise<void> {
  const limit = pLimit(4);
  await Promise.all(
    images.map(({ reference, archive }) => {
      const target = `${addressOf(state)}/${reference.slice(reference.indexOf('/') + 1)}`;
      return limit(() => promisify(execFile)(crane, ['push', '--insecure', archive, target]));
    }),
  );
}
