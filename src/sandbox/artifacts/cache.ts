import { randomBytes } from 'node:crypto';
import { access, mkdir, readdir, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { cacheRoot } from '../../base/cache-root.ts';
import { messageOf, UserError } from '../../base/errors.ts';
import { again, words } from '../../base/words.ts';
import { liveLocks } from './cache-lock.ts';

/** What k8sk8s puts into the cache folder, and therefore what a purge may take away. */
const folders = ['bin', 'images', 'src', 'locks', 'machines', 'bootstrap-policy'];

/** https://bford.info/cachedir/: backup programs leave folders with this file out. */
const cacheTag = 'Signature: 8a477f597d28d172789f06886806bc55\n# Made by k8sk8s sandbox; safe to delete.\n';

/**
 * The architecture of this box in the words of Go and of image manifests.
 *
 * @throws UserError `unsupported-architecture`
 */
export function architecture(arch: string = process.arch): 'amd64' | 'arm64' {
  if (arch === 'x64') return 'amd64';
  if (arch === 'arm64') return 'arm64';
  throw new UserError({
    what: `the sandbox does not run on ${arch}`,
    why: 'it knows how to build or download its programs for amd64 and arm64 only',
    fix: 'use any other cluster as the infra cluster: kind, or one in a cloud',
    anchor: 'unsupported-architecture',
    kind: 'refused',
  });
}

/** Where a program lies: `bin/kubernetes/1.37.2/amd64/kubelet`. */
export function binaryPath(
  root: string,
  component: string,
  version: string,
  name: string,
  of = architecture(),
): string {
  return join(root, 'bin', component, version, of, name);
}

/** Where an image archive lies; `key` changes with what is inside. */
export function imagePath(root: string, name: string, version: string, key: string): string {
  return join(root, 'images', name, version, architecture(), `${key}.tar`);
}

/** Where a component's go.mod and small sources lie while it is built. */
export function sourcePath(root: string, component: string, version: string, of = architecture()): string {
  return join(root, 'src', component, version, of);
}

/** Folder of the locks that keep two processes from making the same thing. */
export function lockFolder(root: string): string {
  return join(root, 'locks');
}

/** Whether a file is there. */
export function present(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/**
 * Has `write` make a file under a temporary name, then renames it: readers see all of it or nothing. Call it with
 * the lock of what is written, since leftovers of killed writers in the same folder are swept.
 *
 * @throws UserError `cache-not-writable`, and what `write` throws
 */
export async function writeAtomically(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const folder = dirname(path);
  await makeFolder(folder);
  const prefix = `.${basename(path)}.tmp-`;
  for (const name of await readdir(folder))
    if (name.startsWith(prefix)) await rm(join(folder, name), { recursive: true, force: true });
  const temporary = join(folder, `${prefix}${process.pid}-${randomBytes(3).toString('hex')}`);
  try {
    await write(temporary);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

/** Makes the cache folder itself, with its tag. */
export async function ensureCacheRoot(root: string): Promise<void> {
  await makeFolder(root);
  await writeFile(join(root, 'CACHEDIR.TAG'), cacheTag, { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw notWritable(root, error);
  });
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((error) => {
    throw notWritable(path, error);
  });
}

function notWritable(path: string, error: unknown): UserError {
  return new UserError({
    what: `cannot write to the cache folder ${path}`,
    why: messageOf(error),
    fix: 'make it writable, or name another one in K8SK8S_CACHE',
    anchor: 'cache-not-writable',
    kind: 'refused',
    cause: error,
  });
}

/** Bytes in the cache; 0 when there is none. */
export async function cacheSize(root: string = cacheRoot()): Promise<number> {
  const sizes = await Promise.all(folders.map((folder) => sizeOf(join(root, folder))));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const sizes = await Promise.all(
    entries.map((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return sizeOf(path);
      // A file may be renamed or removed by another process meanwhile.
      return stat(path).then(
        (found) => found.size,
        () => 0,
      );
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/**
 * Removes what k8sk8s put into the cache, and nothing else that lies in the same folder.
 *
 * @returns the bytes that were freed
 * @throws UserError `cache-busy` while another process builds or downloads into it
 */
export async function purgeCache(root: string = cacheRoot()): Promise<number> {
  const busy = await liveLocks(lockFolder(root));
  if (busy[0]) {
    throw new UserError({
      what: `the cache ${root} is in use`,
      why: `process ${busy[0].pid} is making ${busy[0].name}`,
      fix: words`wait for it or end it, then ${again}`,
      anchor: 'cache-busy',
    });
  }
  const size = await cacheSize(root);
  for (const folder of folders) await rm(join(root, folder), { recursive: true, force: true });
  await rm(join(root, 'CACHEDIR.TAG'), { force: true });
  // The folder stays when somebody keeps other files there.
  await rmdir(root).catch(() => undefined);
  return size;
}
