import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/**
 * Makes a folder that nobody else may read: in memory, where the system has such a place for this person.
 *
 * @throws Error of Node's where no folder can be made at all
 */
export function makePrivateFolder(prefix: string): string {
  const inMemory = process.env.XDG_RUNTIME_DIR;
  if (inMemory) {
    try {
      return mkdtempSync(path.join(inMemory, prefix));
    } catch {
      // Of another person after su, or not there at all in a container: the variable is inherited.
    }
  }
  return mkdtempSync(path.join(tmpdir(), prefix));
}
