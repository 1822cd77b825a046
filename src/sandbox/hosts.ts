import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { withHostsLock } from './lock.ts';

const file = '/etc/hosts';
const mark = (sandbox: string) => `# k8sk8s sandbox ${sandbox}`;

/** Makes `host` resolve to `address` on this box by a marked line of the hosts file; machines have a file of their own. */
export async function addHostsLine(sandbox: string, host: string, address: string): Promise<void> {
  await withHostsLock(async () => write(withLine(lines(), sandbox, host, address)));
}

/**
 * The lines of a hosts file with one more, in place of an earlier one of that sandbox and name. A resolver takes the first line of a name: that
 * is the sandbox's that was asked last, and another sandbox's counts again when the line is removed. Pure.
 */
export function withLine(all: string[], sandbox: string, host: string, address: string): string[] {
  const others = all.filter((line) => !isLineOf(line, sandbox, host));
  const elsewhere = others.findIndex((line) => line.includes(mark('')) && nameIn(line) === host);
  return others.toSpliced(elsewhere === -1 ? others.length : elsewhere, 0, `${address} ${host} ${mark(sandbox)}`);
}

/** Removes the line of one name. */
export function removeHostsLine(sandbox: string, host: string): Promise<void> {
  return remove((line) => isLineOf(line, sandbox, host));
}

/** Removes all lines of a sandbox. */
export function removeHostsLines(sandbox: string): Promise<void> {
  return remove((line) => line.endsWith(mark(sandbox)));
}

async function remove(which: (line: string) => boolean): Promise<void> {
  await withHostsLock(async () => {
    const all = lines();
    const others = all.filter((line) => !which(line));
    if (others.length < all.length) write(others);
  });
}

function isLineOf(line: string, sandbox: string, host: string): boolean {
  return line.endsWith(mark(sandbox)) && nameIn(line) === host;
}

const nameIn = (line: string) => line.split(/\s+/)[1];

function lines(): string[] {
  const text = readFileSync(file, 'utf8');
  return (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n');
}

function write(content: string[]): void {
  overwrite(file, `${content.join('\n')}\n`);
}

/**
 * Writes a file in place, because /etc/hosts is often a mount, which cannot be replaced by a rename; and without a moment in which the
 * file is empty or ends within a line: who resolves a name meanwhile would not find it.
 */
export function overwrite(path: string, text: string): void {
  const bytes = Buffer.from(text);
  const fd = openSync(path, 'r+');
  try {
    // What is left of a longer text becomes empty lines by the same write, before it is cut off.
    const blank = Buffer.alloc(Math.max(0, fstatSync(fd).size - bytes.length), '\n');
    writeSync(fd, Buffer.concat([bytes, blank]), 0, bytes.length + blank.length, 0);
    ftruncateSync(fd, bytes.length);
  } finally {
    closeSync(fd);
  }
}
