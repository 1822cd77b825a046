import { existsSync, rmdirSync, rmSync } from 'node:fs';
import { UserError } from '../base/errors.ts';
import { again, words } from '../base/words.ts';
import type { Reporter } from '../ui/reporter.ts';
import { purgeCache } from './artifacts/cache.ts';
import { cgroupExists, removeCgroup } from './cgroup.ts';
import { removeHostsLines } from './hosts.ts';
import { withSandboxLock } from './lock.ts';
import { removeBridge } from './network.ts';
import { isAlive, waitUntil } from './process.ts';
import { allSandboxes, loadState, newState, type SandboxState, sandboxFolder, saveState } from './state.ts';

/**
 * Removes a sandbox: processes, machines, links, cgroups, hosts lines, files. It also removes what a killed `up` left.
 *
 * @returns false when there was nothing to do
 */
export async function sandboxDown(
  options: { name: string; purgeCache?: boolean },
  reporter: Reporter,
): Promise<boolean> {
  return withSandboxLock(options.name, async () => {
    const folder = sandboxFolder(options.name);
    // Without a state the box has at most a cgroup, whose name follows from the sandbox's.
    const known = loadState(options.name);
    const state = known ?? newState(options.name, '', '');
    const something = known !== undefined || existsSync(folder) || cgroupExists(state.cgroup);
    if (something)
      await reporter.during(
        `sandbox ${options.name}: ending its machines`,
        () => takeAway(state),
        `sandbox ${options.name} is gone`,
      );
    if (options.purgeCache) reporter.line(`cache emptied: ${Math.round((await purgeCache()) / 2 ** 20)} MiB`);
    return something || Boolean(options.purgeCache);
  });
}

async function takeAway(state: SandboxState): Promise<void> {
  // Process 1 first: the kernel ends everything in its namespace, mounts and links included.
  for (const { init } of state.machines) if (init && isAlive(init)) process.kill(init.pid, 'SIGKILL');
  const left = await removeCgroup(state.cgroup);
  // A process leaves its cgroup before it leaves the process table.
  await waitUntil(
    'the end of the machines',
    20,
    () => state.machines.every(({ init }) => !isAlive(init)) || undefined,
    20,
  );
  await removeBridge(state);
  await removeHostsLines(state.name);
  giveBackFolders(state);
  await waitUntil('removing the files of the sandbox', 20, () => {
    rmSync(sandboxFolder(state.name), { recursive: true, force: true });
    return true;
  });
  if (left.length > 0)
    throw new UserError({
      what: `some cgroups of the sandbox could not be removed: ${left.join(', ')}`,
      why: 'a process in them does not exit',
      fix: words`look at the cgroup.procs files there, then ${again}`,
      anchor: 'sandbox-left',
    });
}

/** Removes the mount points that this sandbox made on the box. Machines of another sandbox may use them: then that sandbox takes them over. */
function giveBackFolders(state: SandboxState): void {
  const heir = allSandboxes().find(({ name }) => name !== state.name);
  if (heir) {
    heir.folders.push(...state.folders);
    if (state.folders.length > 0) saveState(heir);
    return;
  }
  for (const folder of [...state.folders].reverse()) {
    try {
      rmdirSync(folder);
    } catch {
      // Another program uses the folder meanwhile, or the folder is gone.
    }
  }
}
