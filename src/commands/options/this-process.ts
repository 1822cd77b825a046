import { readFileSync, readlinkSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import type { Actor } from '../../kube/infra-cluster.ts';

/** This process of this person, for the lock of a plane. */
export function thisProcess(): Actor {
  return { name: `${userName()}@${hostname()} (process ${process.pid})`, process: processPlace(), isRunning };
}

/**
 * Where a process runs, in words that only another process of the same machine can check: host name, boot, PID
 * namespace, number, and start in clock ticks (field 22 of proc_pid_stat(5)), so that a later process with the same
 * number is not mistaken for it. Undefined where the system has no such words (no Linux, no /proc).
 */
export function processPlace(pid = process.pid): string | undefined {
  const start = statusOf(pid)?.start;
  const system = thisSystem();
  return system && start && `${system} ${pid} ${start}`;
}

/**
 * Whether the process of `recorded` still runs.
 *
 * @returns undefined when that cannot be seen from here: another machine, another container, or nothing recorded
 */
export function isRunning(recorded: string | undefined): boolean | undefined {
  const system = thisSystem();
  const match = /^(.+) (\d+) (\d+)$/.exec(recorded ?? '');
  if (!match || system === undefined || match[1] !== system) return undefined;
  const pid = Number(match[2]);
  try {
    process.kill(pid, 0);
  } catch (error) {
    // Another user's process may not be signalled, and is there all the same.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const status = statusOf(pid);
  return status === undefined ? undefined : status.start === match[3] && !/[ZX]/.test(status.state);
}

function thisSystem(): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${hostname()} ${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return undefined;
  }
}

function statusOf(pid: number): { state: string; start: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', start: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'unknown';
  }
}
