import { type FailureKind, messageOf, UserError } from './errors.ts';
import { again, type Words, words } from './words.ts';

/**
 * What a failure of the file system means for the person. Contents never appear in it.
 *
 * @param file its path, with the option that it was given by where that helps
 * @param kind `usage` where that file was named and nothing was begun yet
 * @returns `error` itself when it is no such failure
 */
export function fileError(
  action: 'read' | 'write',
  file: Words,
  error: unknown,
  kind: FailureKind = action === 'read' ? 'usage' : 'failed',
): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (error instanceof UserError || typeof code !== 'string' || !/^E[A-Z0-9]+$/.test(code)) return error;
  const [why, fix] = reasons[code] ?? [messageOf(error), elsewhere];
  return new UserError({
    what: words`cannot ${action} ${file}`,
    why,
    fix,
    anchor: action === 'write' ? 'file-not-writable' : 'file-not-readable',
    kind,
    cause: error,
  });
}

const elsewhere = 'name another path';
const forbidden = ['you have no permission', `ask its owner, or ${elsewhere}`] as const;
const fileInPath = ['a part of the path is a file, not a folder', `move that file away, or ${elsewhere}`] as const;
const full = `free some there, or ${elsewhere}`;

/** By Node's codes. */
const reasons: Record<string, readonly [why: string, fix: Words]> = {
  ENOENT: ['there is no such file or folder', 'check the path; a folder that is missing has to be made first'],
  EISDIR: ['it is a folder', 'name a file'],
  ENOTDIR: fileInPath,
  EEXIST: fileInPath,
  EACCES: forbidden,
  EPERM: forbidden,
  EROFS: ['the file system is read-only', elsewhere],
  ENOSPC: ['there is no space left on the device', full],
  EDQUOT: ['your disk quota is used up', full],
  EPIPE: ['whoever reads it has ended', words`${again}`],
};
