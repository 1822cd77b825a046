import { open, readFile, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../base/errors.ts';
import { behindLinks } from './links.ts';

/** Whoever changes a kubeconfig needs milliseconds; kubectl itself does not wait at all. */
const patienceMilliseconds = 5000;
const pollMilliseconds = 20;

/**
 * Runs `work`, which reads a file that other programs change as well and writes it anew, while nobody else does so. The lock is that of
 * kubectl and everything else that is made of client-go: FILE.lock, made only where there is none (lockFile in
 * https://github.com/kubernetes/client-go/blob/master/tools/clientcmd/loader.go). client-go locks the name that it was given, so a
 * symbolic link is locked by both of its names. The lock stands beside the file, whose folder has to be there.
 *
 * @param patience milliseconds
 * @throws UserError `file-locked` where somebody else holds the lock all the time; `work` has not run then
 */
export async function withFileLock<T>(
  file: string,
  work: () => Promise<T>,
  patience = patienceMilliseconds,
): Promise<T> {
  const named = path.resolve(file);
  // In the order in which client-go takes them, so that no two wait for each other.
  const names = [...new Set([named, await behindLinks(named).catch(() => named)])].sort();
  const until = performance.now() + patience;
  const held: string[] = [];
  try {
    for (const name of names) {
      const lock = `${name}.lock`;
      if (await take(lock, file, until)) held.push(lock);
    }
    return await work();
  } finally {
    for (const lock of held) await rm(lock, { force: true });
  }
}

/** @returns false where none can be made: then neither can the file be replaced, which says why; nor can kubectl write by this name */
async function take(lock: string, file: string, until: number): Promise<boolean> {
  for (;;) {
    try {
      const handle = await open(lock, 'wx', 0o644);
      await handle.writeFile(`process ${process.pid} of k8sk8s on ${hostname()}\n`).catch(() => undefined);
      await handle.close();
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false;
    }
    if (performance.now() > until) throw await locked(lock, file);
    await sleep(pollMilliseconds);
  }
}

async function locked(lock: string, file: string): Promise<UserError> {
  // client-go writes nothing into it, and lets nobody read it.
  const [said, made] = await Promise.all([readFile(lock, 'utf8').catch(() => ''), stat(lock).catch(() => undefined)]);
  const holder = /^process \d+ of k8sk8s on \S+$/.exec(said.trim())?.[0];
  return new UserError({
    what: `another program is changing ${file}`,
    why: `${lock} is its lock${made ? `, made at ${made.mtime.toISOString()}` : ''} by ${holder ?? 'kubectl or another program of Kubernetes'}`,
    fix: `run the same command again when that program has ended. If it does not run any more, it was killed and has left its lock: rm ${lock}`,
    anchor: 'file-locked',
    kind: 'refused',
  });
}
