import { createHash } from 'node:crypto';
import { copyFileSync, createReadStream, existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { messageOf, UserError } from '../base/errors.ts';
import { fileError } from '../base/file-error.ts';
import type { Reporter } from '../ui/reporter.ts';
import { importArchive } from './containerd.ts';
import { withSandboxLock } from './lock.ts';
import { machineFolder, requireState, type SandboxState, sandboxFolder } from './state.ts';

const folderOf = (state: SandboxState): string => path.join(sandboxFolder(state.name), 'images');

/**
 * Gives an image of the user's own to all machines of a sandbox, infra nodes and workers, and to those that are made later.
 *
 * @param file archive as `docker save`, `podman save` or `nerdctl save` writes it, or an OCI layout in a tar file
 * @returns the names by which pods may ask for it; machines that had the archive already are not asked again
 * @throws UserError `file-not-readable`, `bad-file`
 */
export async function importImage(name: string, file: string, reporter: Reporter): Promise<string[]> {
  return withSandboxLock(
    name,
    async () => {
      const state = requireState(name);
      const archive = await keep(state, file);
      const names = new Set<string>();
      for (const machine of state.machines)
        await reporter.during(`${file} to ${machine.name}`, async () => {
          const found = await importArchive(machine, machineFolder(state, machine), archive).catch((error) => {
            throw new UserError({
              what: `containerd on ${machine.name} does not take "${file}"`,
              why: messageOf(error),
              fix: 'give an archive that docker save, podman save or nerdctl save wrote',
              anchor: 'bad-file',
              cause: error,
            });
          });
          for (const each of found) names.add(each);
        });
      return [...names];
    },
    90,
  );
}

/** Archives that were imported into this sandbox, for a machine that is made anew. */
export function importedArchives(state: SandboxState): string[] {
  const folder = folderOf(state);
  return existsSync(folder) ? readdirSync(folder).map((file) => path.join(folder, file)) : [];
}

/** A copy under the name of its content: the file may be written anew under the same name. */
async function keep(state: SandboxState, file: string): Promise<string> {
  const folder = folderOf(state);
  mkdirSync(folder, { recursive: true });
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(file), hash);
  } catch (error) {
    throw fileError('read', `"${file}"`, error);
  }
  const kept = path.join(folder, `${hash.digest('hex')}.tar`);
  if (!existsSync(kept)) {
    copyFileSync(file, `${kept}.new`);
    renameSync(`${kept}.new`, kept);
  }
  return kept;
}
