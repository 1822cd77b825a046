import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { promisify } from 'node:util';
import { waitFor } from '../ui/wait-for.ts';

const execute = promisify(execFile);

/** A process, with its start time, so that a later process with the same number is not mistaken for it. */
export interface ProcessIdentity {
  pid: number;
  /** Start time in clock ticks since boot: field 22 of /proc/PID/stat. */
  start: string;
}

/** @throws Error when there is no such process */
export function processIdentity(pid: number): ProcessIdentity {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the program's name in parentheses and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { pid, start: fields[19] ?? '' };
}

/** How long ago a process was started; Linux counts a process's start in hundredths of a second. */
export function millisecondsSinceStart({ start }: ProcessIdentity): number {
  return uptime() * 1000 - Number(start) * 10;
}

export function isAlive(identity: ProcessIdentity | undefined): boolean {
  if (!identity) return false;
  try {
    const stat = readFileSync(`/proc/${identity.pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[19] === identity.start && fields[0] !== 'Z' && fields[0] !== 'X';
  } catch {
    return false;
  }
}

/** Runs a program to its end. @returns stdout; @throws Error with its stderr */
export async function run(
  program: string,
  args: string[],
  options: { timeout?: number; env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  try {
    return (
      await execute(program, args, { maxBuffer: 16 << 20, timeout: options.timeout ?? 120_000, env: options.env })
    ).stdout;
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    throw new Error(
      `${program} ${args.slice(0, 8).join(' ')}: ${stderr?.trim().split('\n').slice(-3).join(' | ') || message}`,
      { cause: error },
    );
  }
}

/** Tries every `interval` ms until `check` gives something; its last failure is the error. */
export async function waitUntil<T>(
  what: string,
  seconds: number,
  check: () => Promise<T | undefined> | T | undefined,
  interval = 100,
): Promise<T> {
  let last: unknown;
  return waitFor({
    until: async () => {
      try {
        last = undefined;
        return await check();
      } catch (error) {
        last = error;
        return undefined;
      }
    },
    timeout: seconds * 1000,
    every: interval,
    late: (after) =>
      new Error(`${what} did not happen within ${after}${last instanceof Error ? `: ${last.message}` : ''}`, {
        cause: last,
      }),
  });
}
