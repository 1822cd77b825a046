import { readlink, realpath } from 'node:fs/promises';
import path from 'node:path';

/**
 * The file that is written where `file` is a symbolic link, as kubectl writes it: also one that is missing yet. `file` itself where it is
 * no link.
 *
 * @throws Error of Node's, for example ELOOP
 */
export async function behindLinks(file: string): Promise<string> {
  const real = await realpath(file).catch(unless('ENOENT'));
  if (real !== undefined) return real;
  const leadsTo = await readlink(file).catch(unless('ENOENT', 'EINVAL'));
  if (leadsTo === undefined) return file;
  const folder = path.dirname(file);
  return behindLinks(path.resolve((await realpath(folder).catch(unless('ENOENT'))) ?? folder, leadsTo));
}

const unless =
  (...codes: string[]) =>
  (error: NodeJS.ErrnoException): undefined => {
    if (!codes.includes(error.code ?? '')) throw error;
  };
