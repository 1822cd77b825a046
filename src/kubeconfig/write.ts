import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { type FileHandle, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../base/errors.ts';
import { fileError } from '../base/file-error.ts';
import { option, words } from '../base/words.ts';
import { fingerprint, shareCertificate } from '../pki/inspect.ts';
import { behindLinks } from './links.ts';
import { withFileLock } from './lock.ts';
import { forgetContext, type MergeOptions, mergeKubeconfig } from './merge.ts';
import { describeAuthority, readKubeconfig } from './read.ts';

export type WriteOutcome = 'created' | 'updated' | 'unchanged';

export interface WriteOptions {
  /** Leave mode and owner of a file that is there as they are; `mode` is then for a new one. */
  keepMode?: boolean;
}

/**
 * Writes a file whole or not at all: a temporary file beside it, flushed to disk and renamed over it. Missing folders
 * are made, for the owner only. A symbolic link stays one; the file that it leads to is written.
 *
 * @param mode permission bits, whatever the umask
 * @throws UserError when the disk, the permissions or the path do not allow it
 */
export async function writeFileAtomically(
  file: string,
  content: string,
  mode = 0o600,
  options: WriteOptions = {},
): Promise<WriteOutcome> {
  try {
    const target = await behindLinks(file);
    const before = await stat(target).catch(unlessMissing);
    if (before && !before.isFile()) throw notAFile(file);
    const finalMode = before && options.keepMode ? before.mode & 0o7777 : mode;
    if (before && (before.mode & 0o7777) === finalMode && (await readFile(target, 'utf8')) === content)
      return 'unchanged';
    const folder = path.dirname(target);
    makeFolder(folder);
    await replace(target, folder, content, finalMode, options.keepMode ? before : undefined);
    return before ? 'updated' : 'created';
  } catch (error) {
    throw fileError('write', file, error);
  }
}

/** Makes a folder and those above it, for the owner only. Node's own recursive mkdir never comes back from /proc. */
export function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(path.dirname(path.resolve(folder)));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    // Another process may have made it meanwhile.
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
}

/**
 * Changes a file that is not ours alone: nobody else changes it meanwhile, and its mode and owner stay.
 *
 * @param change makes the new text of the old one, which is undefined for a file that is missing; where it returns undefined, nothing is written
 * @throws UserError when somebody else holds the file's lock, or when the file cannot be read or written; and what `change` throws
 */
export function changeFile(
  file: string,
  change: (before: string | undefined) => string | undefined,
): Promise<WriteOutcome> {
  return withFileLock(file, async () => {
    const after = change(readIfThere(file));
    return after === undefined ? 'unchanged' : writeFileAtomically(file, after, 0o600, { keepMode: true });
  });
}

/**
 * Merges `ours`, a kubeconfig of one cluster, into the kubeconfig at `file`, which is made when missing.
 *
 * @throws UserError when the file is no kubeconfig, uses our names for another cluster (without `force`), is locked, or cannot be
 * read or written
 */
export async function mergeIntoFile(file: string, ours: string, options: MergeOptions = {}): Promise<WriteOutcome> {
  try {
    makeFolder(path.dirname(file));
  } catch (error) {
    throw fileError('write', file, error);
  }
  return changeFile(file, (before) => mergeKubeconfig(before ?? '', ours, file, options));
}

/** Takes a context that `mergeIntoFile` has put there out of `file` again, with its cluster and user. */
export async function forgetInFile(file: string, name: string): Promise<void> {
  await changeFile(file, (before) => (before === undefined ? undefined : forgetContext(before, name, file)));
}

/**
 * Throws when `file` holds anything but what belongs to the cluster of this CA: another cluster's kubeconfig or
 * certificate, several clusters, or something else altogether. A missing or empty file is nobody's. While the CA is
 * replaced it is several certificates, and whoever has one of them is of the cluster.
 *
 * @param certificateAuthority PEM; undefined for a cluster that does not exist yet, to which no file can belong
 * @throws UserError (kind `refused`) that names both clusters, or when the file cannot be read
 */
export function refuseForeignFile(file: string, certificateAuthority: string | undefined): void {
  const text = readIfThere(file);
  if (text === undefined || text.trim() === '') return;
  const ours = certificateAuthority === undefined ? undefined : fingerprint(certificateAuthority);
  const isOurs = ({ authority = '' }: Owner) =>
    certificateAuthority !== undefined && shareCertificate(authority, certificateAuthority);
  const owners = ownersOf(text, file);
  const stranger = owners
    ? owners.find((owner) => !isOurs(owner))
    : { name: 'neither a kubeconfig nor a certificate', fingerprint: undefined };
  if (!stranger) return;
  throw new UserError({
    what: owners ? `${file} belongs to another cluster` : `${file} does not belong to this cluster`,
    why: owners
      ? `it is of ${stranger.name} (${describeAuthority(stranger.fingerprint)}), not of this cluster (${ours === undefined ? 'which is new' : describeAuthority(ours)})`
      : `it is ${stranger.name}`,
    fix: words`choose another folder with ${option('dir')}, move the file away, or overwrite it with ${option('force')}`,
    anchor: 'file-of-another-cluster',
    kind: 'refused',
  });
}

/**
 * Whether everything in `file`, a kubeconfig or a certificate, is of the cluster of this CA (PEM). False when there is
 * no file.
 *
 * @throws UserError when the file is there and cannot be read
 */
export function belongsToAuthority(file: string, certificateAuthority: string): boolean {
  const text = readIfThere(file);
  const owners = text === undefined ? undefined : ownersOf(text, file);
  return owners?.every(({ authority = '' }) => shareCertificate(authority, certificateAuthority)) ?? false;
}

interface Owner {
  name: string;
  /** PEM. */
  authority?: string;
  fingerprint: string | undefined;
}

/** The clusters that a file is about; undefined when it is neither a certificate nor a kubeconfig with a cluster. */
function ownersOf(text: string, file: string): Owner[] | undefined {
  if (text.trimStart().startsWith('-----BEGIN CERTIFICATE-----')) {
    try {
      return [{ name: 'another certificate authority', authority: text, fingerprint: fingerprint(text) }];
    } catch {
      return undefined;
    }
  }
  try {
    const { clusters } = readKubeconfig(text, file);
    const owners = clusters.map((cluster) => ({
      name: cluster.server ?? `the cluster "${cluster.name}"`,
      authority: cluster.certificateAuthority,
      fingerprint: cluster.fingerprint,
    }));
    return owners.length > 0 ? owners : undefined;
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

/** Synchronous, since it stands before writing and is small. A device or a pipe would block: those are refused. */
function readIfThere(file: string): string | undefined {
  try {
    if (!statSync(file).isFile()) throw notAFile(file);
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileError('read', file, error);
  }
}

function notAFile(file: string): UserError {
  return new UserError({
    what: `cannot write ${file}`,
    why: 'it is a folder or a device, not a file',
    fix: 'name a file',
    anchor: 'file-not-writable',
  });
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

async function replace(
  target: string,
  folder: string,
  content: string,
  mode: number,
  owner?: { uid: number; gid: number },
): Promise<void> {
  const temporary = path.join(folder, `.${path.basename(target)}.${randomBytes(6).toString('hex')}.tmp`);
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await fill(handle, content, mode, owner);
    await rename(temporary, target);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
  await flushFolder(folder);
}

async function fill(
  handle: FileHandle,
  content: string,
  mode: number,
  owner?: { uid: number; gid: number },
): Promise<void> {
  try {
    await handle.writeFile(content);
    // root may merge into somebody's file, which must stay theirs; nobody else may give files away.
    if (owner && owner.uid !== process.geteuid?.()) await handle.chown(owner.uid, owner.gid).catch(() => {});
    await handle.chmod(mode);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes the rename itself durable, where the file system can. */
async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}
