import { readdirSync, readFileSync } from 'node:fs';

/**
 * Kills the first process of a container, which this box sees as one of its own.
 *
 * @returns false where there is none
 */
export function killInPod(uid: string, command: RegExp): boolean {
  const found = processInPod(uid, command);
  if (found !== undefined) process.kill(found, 'SIGKILL');
  return found !== undefined;
}

/** The first process of a container, as this box sees it. @param command of its command line */
export function processInPod(uid: string, command: RegExp): number | undefined {
  const text = (pid: string, file: string) => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, 'utf8').replaceAll('\0', ' ');
    } catch {
      return '';
    }
  };
  const found = readdirSync('/proc').find(
    (pid) =>
      /^\d+$/.test(pid) &&
      text(pid, 'cgroup').replaceAll('_', '-').includes(uid) &&
      command.test(text(pid, 'cmdline')) &&
      /^NSpid:.*\t1$/m.test(text(pid, 'status')),
  );
  return found === undefined ? undefined : Number(found);
}
