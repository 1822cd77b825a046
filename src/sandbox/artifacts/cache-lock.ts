import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

export interface Holder {
  pid: number;
  /** Of the process, in clock ticks since boot: the same pid with another start is another process. */
  started: string;
  /** What is locked. */
  name: string;
}

const pollEvery = 200;
/** Taking over takes milliseconds; a guard older than this was left behind by a killed process. */
const guardLifetime = 10_000;

/**
 * Runs `work` while holding the lock `name`, which one process at a time can hold. Locks of dead processes are
 * taken over.
 *
 * @param folder where lock files lie; made when missing
 * @param onWait called once, with the other holder, when there is one to wait for
 */
export async function withCacheLock<T>(
  folder: string,
  name: string,
  onWait: (holder: Holder) => void,
  work: () => Promise<T>,
): Promise<T> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${name}.lock`);
  await acquire(path, name, onWait);
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

/** Locks in `folder` whose holders live. */
export async function liveLocks(folder: string): Promise<Holder[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.lock'));
  const holders = await Promise.all(names.map((name) => readHolder(join(folder, name))));
  return holders.filter((holder) => holder !== undefined).filter(lives);
}

async function acquire(path: string, name: string, onWait: (holder: Holder) => void): Promise<void> {
  const temporary = `${path}.${process.pid}-${randomBytes(3).toString('hex')}`;
  const self: Holder = { pid: process.pid, started: startOf(process.pid) ?? '', name };
  let told = false;
  // A link to a complete file, so that nobody ever reads a lock without its holder.
  await writeFile(temporary, JSON.stringify(self));
  try {
    for (;;) {
      if (await tryLink(temporary, path)) return;
      const holder = await readHolder(path);
      if (holder && !lives(holder)) await removeDead(path);
      else if (holder) {
        if (!told) onWait(holder);
        told = true;
        await wait(pollEvery);
      }
    }
  } finally {
    await rm(temporary, { force: true });
  }
}

async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes the lock of a dead holder. The guard keeps another process from removing the lock that was taken right after. */
async function removeDead(path: string): Promise<void> {
  const guard = `${path}.takeover`;
  try {
    await (await open(guard, 'wx')).close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const age = await stat(guard).then(
      (found) => Date.now() - found.mtimeMs,
      () => 0,
    );
    if (age > guardLifetime) await rm(guard, { force: true });
    await wait(20);
    return;
  }
  try {
    const holder = await readHolder(path);
    if (holder && !lives(holder)) await rm(path, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}

async function readHolder(path: string): Promise<Holder | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Holder;
  } catch {
    // Another program wrote this file, or the disk was full: nobody holds the lock.
    return { pid: 0, started: '', name: '' };
  }
}

function lives(holder: Holder): boolean {
  return holder.pid > 0 && startOf(holder.pid) === holder.started;
}

/** Field 22 of /proc/PID/stat (proc(5)); the second field may hold spaces and brackets. */
function startOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
