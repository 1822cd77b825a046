import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** All that a plane's etcd members have on their disks, log and backend, as the processes themselves see it. */
export function etcdFiles(planeId: string): Buffer {
  const roots = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && isMember(entry, planeId))
    .map((pid) => `/proc/${pid}/root/var/lib/etcd`);
  if (roots.length === 0) throw new Error(`no etcd of ${planeId} runs on this box`);
  return Buffer.concat(
    roots.flatMap((root) =>
      readdirSync(root, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(path.join(entry.parentPath, entry.name))),
    ),
  );
}

function isMember(pid: string, planeId: string): boolean {
  try {
    const [program, ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return path.basename(program!) === 'etcd' && args.includes(`--initial-cluster-token=${planeId}`);
  } catch {
    return false;
  }
}
