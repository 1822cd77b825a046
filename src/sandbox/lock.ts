import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../base/errors.ts';
import { waitFor } from '../ui/wait-for.ts';
import { isAlive, type ProcessIdentity, processIdentity } from './process.ts';
import { stateRoot } from './state.ts';

/**
 * Runs `work` while no other command changes the same sandbox.
 *
 * @param patience seconds to wait for another command; report a command that takes minutes at once
 * @throws UserError `sandbox-busy`
 */
export function withSandboxLock<T>(name: string, work: () => Promise<T>, patience = 0): Promise<T> {
  return withLock(name, patience, work, (holder) => {
    throw new UserError({
      what: `another command is changing the sandbox "${name}"`,
      why: `process ${holder.pid} holds its lock`,
      fix: 'wait until it has ended',
      anchor: 'sandbox-busy',
    });
  });
}

/** Runs `work` while no other sandbox's command edits the box's hosts file. No sandbox has a name with a dot. */
export function withHostsLock<T>(work: () => Promise<T>): Promise<T> {
  return withLock('.hosts', 20, work, (holder) => {
    throw new Error(`process ${holder.pid} has held the lock of the hosts file for 20 s`);
  });
}

/**
 * Runs `work` with a lock of this box. The lock of a dead process is taken over.
 *
 * @param patience seconds to wait for it before `refuse`
 */
export async function withLock<T>(
  name: string,
  patience: number,
  work: () => Promise<T>,
  refuse: (holder: ProcessIdentity) => never,
): Promise<T> {
  const folder = path.join(stateRoot(), 'locks');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = path.join(folder, name);
  const mine = JSON.stringify(processIdentity(process.pid));
  let holder: ProcessIdentity | undefined;
  await waitFor({
    until: () => {
      holder = undefined;
      while (holder === undefined) {
        if (tryWrite(file, mine)) return true;
        const found = readIdentity(file);
        if (found && isAlive(found)) holder = found;
        else if (existsSync(file)) takeAway(file);
      }
      return false;
    },
    timeout: patience * 1000,
    every: 50,
    late: () => refuse(holder!),
  });
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

/** The file is there with all that it says, or not at all: who waits must not meet one that says nothing yet. @returns false when it is there already */
function tryWrite(file: string, content: string): boolean {
  const whole = beside(file);
  writeFileSync(whole, content);
  try {
    linkSync(whole, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(whole, { force: true });
  }
}

/** Of several who met the lock of a dead process, one takes it away. Another one's, taken since, is put back. */
function takeAway(file: string): void {
  const aside = beside(file);
  try {
    renameSync(file, aside);
    const moved = readIdentity(aside);
    if (moved && isAlive(moved)) linkSync(aside, file);
  } catch (error) {
    if (!['ENOENT', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

function beside(file: string): string {
  return `${file}.${randomBytes(6).toString('hex')}`;
}

function readIdentity(file: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ProcessIdentity;
  } catch {
    return undefined;
  }
}
