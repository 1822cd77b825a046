import { randomBytes } from 'node:crypto';
import {
  createReadStream,
  createWriteStream,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileError } from '../base/file-error.ts';
import { abandoned } from './names.ts';

/** Suffix of an unfinished file; `list` omits it. */
export const unfinished = '.part';

/**
 * Writes a file so that it exists completely or not at all, with mode 0600; until then a previous file stays.
 *
 * @param make writes with the function that it gets, and throws when the content is worthless
 */
export async function wholeFile<T>(
  file: string,
  make: (write: (content: Readable) => Promise<void>) => Promise<T>,
): Promise<T> {
  const part = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(4).toString('hex')}${unfinished}`);
  try {
    if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
    // Before the first byte is fetched, so that a wrong path fails at once.
    const fd = openSync(part, 'wx', 0o600);
    const result = await make((content) => pipeline(content, createWriteStream(part, { fd, flush: true })));
    renameSync(part, file);
    return result;
  } catch (error) {
    throw fileError('write', file, error);
  } finally {
    rmSync(part, { force: true });
  }
}

/**
 * Deletes the unfinished files that killed runs left in a folder.
 *
 * @param start of the names of the files that they were to become
 * @returns the number of files
 */
export function sweepUnfinished(folder: string, start: string): number {
  const left = readdirSync(folder)
    .filter((name) => name.startsWith(`.${start}`) && name.endsWith(unfinished))
    .map((name) => path.join(folder, name))
    .filter((file) => Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > abandoned);
  for (const file of left) rmSync(file, { force: true });
  return left.length;
}

/**
 * @param length number of first bytes to return
 * @throws UserError when the file cannot be read
 */
export function readBackupFile(file: string, length: number): { first: Buffer; content: Readable } {
  try {
    const fd = openSync(file, 'r');
    const first = Buffer.alloc(length);
    const found = readSync(fd, first, 0, length, 0);
    return { first: first.subarray(0, found), content: createReadStream(file, { fd, start: 0 }) };
  } catch (error) {
    throw fileError('read', file, error);
  }
}
