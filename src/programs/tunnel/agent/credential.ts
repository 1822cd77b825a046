import { readFileSync } from 'node:fs';

/**
 * The kubelet's client certificate with its key, as PEM.
 *
 * @param startAgain called where the file is gone: whoever lets a kubelet join anew deletes its whole folder, and this container goes on
 * seeing the deleted one until it is started again
 * @throws Error of Node's for a file that cannot be read
 */
export function readCredential(file: string, startAgain: (why: string) => never): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return startAgain(`there is no ${file} any more`);
    throw error;
  }
}
