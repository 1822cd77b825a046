import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { waitAtMost } from '../ui/wait-for.ts';

const mount = '/sys/fs/cgroup';

/** cgroup v2 alone, or v1 hierarchies (with or without a unified one beside them). */
function isUnified(): boolean {
  return existsSync(path.join(mount, 'cgroup.controllers'));
}

/** The hierarchies in which a sandbox has a cgroup. The branch for v2 alone has not run yet: the boxes at hand have v1. */
function hierarchies(): string[] {
  if (isUnified()) return [mount];
  return readdirSync(mount, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => path.join(mount, entry.name));
}

/** The hierarchy that says which processes are the sandbox's: every process is in exactly one cgroup of it. */
export function trackingRoot(): string {
  if (isUnified()) return mount;
  const unified = path.join(mount, 'unified');
  return existsSync(unified) ? unified : path.join(mount, 'pids');
}

/** Where cgroup2 is mounted, for the machines' own view of it; undefined on v1 alone. */
export function cgroup2Mount(): string | undefined {
  return isUnified() ? mount : existsSync(path.join(mount, 'unified')) ? path.join(mount, 'unified') : undefined;
}

/**
 * All pods of a sandbox are in one cgroup, which would get no more of the processors than one program does that runs beside it:
 * etcd and API servers would stand still while something is built (docs/reliability.md). So it weighs as much as this many; with 8,
 * the infra cluster's own etcd and API server, which are outside of it, came too short.
 */
const weight = 4;
const weights = { 'cpu.shares': 1024 * weight, 'cpu.weight': 100 * weight };

/** Makes `name` (a relative path) in every hierarchy. */
export function createCgroup(name: string): void {
  for (const hierarchy of hierarchies()) {
    const parts = name.split('/');
    for (let depth = 1; depth <= parts.length; depth++) {
      const folder = path.join(hierarchy, ...parts.slice(0, depth));
      mkdirSync(folder, { recursive: true });
      if (depth === 1) weigh(folder);
      // A v1 cpuset takes no process before it has CPUs and memory nodes.
      for (const file of ['cpuset.cpus', 'cpuset.mems']) {
        const own = path.join(folder, file);
        if (hierarchy.endsWith('/cpuset') && readFileSync(own, 'utf8').trim() === '')
          writeFileSync(own, readFileSync(path.join(path.dirname(folder), file), 'utf8').trim());
      }
      if (isUnified() && depth < parts.length) {
        const available = readFileSync(path.join(folder, 'cgroup.controllers'), 'utf8')
          .trim()
          .split(/\s+/)
          .filter(Boolean);
        writeFileSync(
          path.join(folder, 'cgroup.subtree_control'),
          available.map((controller) => `+${controller}`).join(' '),
        );
      }
    }
  }
}

function weigh(folder: string): void {
  for (const [file, value] of Object.entries(weights)) {
    const own = path.join(folder, file);
    if (existsSync(own)) writeFileSync(own, String(value));
  }
}

/** Every process in the cgroup and below it. */
export function processesOf(name: string): number[] {
  return cgroupFolders(path.join(trackingRoot(), name)).flatMap(pidsOf);
}

/**
 * Ends every process of the cgroup and removes it from all hierarchies.
 *
 * @returns what could not be removed within 20 s
 */
export async function removeCgroup(name: string): Promise<string[]> {
  let left: string[] = [];
  const removed = () => {
    const pids = hierarchies().flatMap((hierarchy) => cgroupFolders(path.join(hierarchy, name)).flatMap(pidsOf));
    for (const pid of new Set(pids)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has just ended by itself.
      }
    }
    left = hierarchies().flatMap((hierarchy) =>
      cgroupFolders(path.join(hierarchy, name))
        .reverse()
        .filter((folder) => !tryRemove(folder)),
    );
    return left.length === 0;
  };
  await waitAtMost({ until: removed, timeout: 20_000, every: 100 });
  return left;
}

export function cgroupExists(name: string): boolean {
  return hierarchies().some((hierarchy) => existsSync(path.join(hierarchy, name)));
}

/** The folder and all below it, parents first. */
function cgroupFolders(folder: string): string[] {
  if (!existsSync(folder)) return [];
  try {
    const children = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [folder, ...children.flatMap((entry) => cgroupFolders(path.join(folder, entry.name)))];
  } catch {
    return [];
  }
}

function pidsOf(folder: string): number[] {
  try {
    return readFileSync(path.join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function tryRemove(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}
