import { readFileSync, writeFileSync } from 'node:fs';
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

/** Writes the file in place and in one write, because it is often a mount, which cannot be replaced by a rename. */
function write(content: string[]): void {
  writeFileSync(file, `${content.join('\n')}\n`);
}
