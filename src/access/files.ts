import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../base/errors.ts';
import { fileError } from '../base/file-error.ts';
import { command, option, words } from '../base/words.ts';
import type { ClusterSpec } from '../config/schema.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';
import { buildKubeconfig } from '../kubeconfig/build.ts';
import { readKubeconfig } from '../kubeconfig/read.ts';
import { belongsToAuthority, makeFolder, refuseForeignFile, writeFileAtomically } from '../kubeconfig/write.ts';
import { trusted } from '../pki/authority.ts';
import type { PkiBundle } from '../pki/certificates.ts';
import type { Addresses } from '../plane/addresses.ts';
import { adminKubeconfig } from '../plane/secrets.ts';
import type { Reporter } from '../ui/reporter.ts';
import { createBootstrapToken, isAccepted } from './bootstrap-token.ts';
import { isWorkerScript, workerScript } from './worker-script.ts';

/** Default lifetime of a bootstrap token, in milliseconds. */
export const tokenTtl = 24 * 3600 * 1000;

export interface FilesRequest {
  dir: string;
  /** Overwrite files of another cluster. */
  force: boolean;
  /** Replace a bootstrap token that is not accepted any more. */
  renewToken?: boolean;
  spec: ClusterSpec;
  addresses: Addresses;
  bundle: PkiBundle;
  hosted: HostedCluster;
  reporter: Reporter;
}

export interface FilesResult {
  kubeconfig: string;
  bootstrapKubeconfig: string;
  certificateAuthority: string;
  workerScript: string;
}

export function filePaths(dir: string): FilesResult {
  return {
    kubeconfig: path.join(dir, 'kubeconfig'),
    bootstrapKubeconfig: path.join(dir, 'kubeconfig-kubelets'),
    certificateAuthority: path.join(dir, 'ca.pem'),
    workerScript: path.join(dir, 'worker.sh'),
  };
}

/**
 * Checks that `writeFiles` will be able to write; for the time before anything is created.
 *
 * @param certificateAuthority PEM of the plane's CA, undefined for a new plane
 * @throws UserError when a file belongs to another cluster (without `force`) or the folder is not writable; nothing was changed
 */
export function checkFiles(
  { dir, force }: { dir: string; force: boolean },
  certificateAuthority: string | undefined,
): void {
  // Tried by writing, because neither the mode nor the rights of root show a read-only or full file system.
  const trial = path.join(dir, `.k8sk8s-${randomBytes(4).toString('hex')}`);
  try {
    makeFolder(dir);
    writeFileSync(trial, 'as long as one of the files will be\n'.repeat(256), { mode: 0o600 });
  } catch (error) {
    throw fileError('write', words`${dir} (${option('dir')})`, error, 'usage');
  } finally {
    if (existsSync(trial)) rmSync(trial);
  }
  if (!force) refuseForeignFiles(filePaths(dir), certificateAuthority);
}

/** worker.sh has nothing in it of a CA: whichever k8sk8s wrote goes with the other files of its folder. */
function refuseForeignFiles({ workerScript: script, ...others }: FilesResult, authority: string | undefined): void {
  for (const file of Object.values(others)) refuseForeignFile(file, authority);
  if (!existsSync(script) || hasWorkerScript(script)) return;
  throw new UserError({
    what: `${script} does not belong to this cluster`,
    why: 'it is no worker.sh that k8sk8s wrote',
    fix: words`choose another folder with ${option('dir')}, move the file away, or overwrite it with ${option('force')}`,
    anchor: 'file-of-another-cluster',
    kind: 'refused',
  });
}

function hasWorkerScript(file: string): boolean {
  try {
    return isWorkerScript(readFileSync(file, 'utf8'));
  } catch (error) {
    throw fileError('read', file, error);
  }
}

/**
 * Writes the files that people and workers need: tls/kubeconfig, tls/kubeconfig-kubelets, tls/ca.pem, tls/worker.sh, mode 0600.
 *
 * @throws UserError when a file belongs to another cluster (without `force`) or cannot be written
 */
export async function writeFiles(request: FilesRequest): Promise<FilesResult> {
  const { dir, force, spec, addresses, bundle, reporter } = request;
  const paths = filePaths(dir);
  const authority = trusted(bundle.authorities.ca!);
  if (!force) refuseForeignFiles(paths, authority);
  const contents: [string, string][] = [
    [paths.kubeconfig, adminKubeconfig(bundle, { publicServer: addresses.publicServer, spec })],
    [paths.certificateAuthority, authority],
  ];
  const bootstrap = await bootstrapKubeconfig(request, paths.bootstrapKubeconfig);
  if (bootstrap !== undefined) contents.push([paths.bootstrapKubeconfig, bootstrap]);
  contents.push([paths.workerScript, workerScript(spec, addresses)]);
  for (const [file, content] of contents) {
    const outcome = await writeFileAtomically(file, content);
    if (outcome !== 'unchanged') reporter.line(`file "${file}" ${outcome}`);
  }
  return paths;
}

/** @returns undefined when the existing file stays unchanged */
async function bootstrapKubeconfig(
  { spec, addresses, bundle, hosted, reporter, force, renewToken }: FilesRequest,
  file: string,
): Promise<string | undefined> {
  const authority = trusted(bundle.authorities.ca!);
  if (existsSync(file) && !force) {
    const token = readKubeconfig(readFileSync(file, 'utf8'), file).token;
    if (token !== undefined && (await isAccepted(hosted, token)))
      return workerKubeconfig(spec, addresses, authority, token);
    if (!renewToken) {
      reporter.warn(
        words`the bootstrap token in ${file} is not accepted any more (it has expired or was revoked); the file stays unchanged. New workers need a new token: ${command('token create', undefined, option('write'))}`,
      );
      return undefined;
    }
  }
  const { token } = await createBootstrapToken(
    hosted,
    tokenTtl,
    renewToken ? 'made with new CAs by k8sk8s' : 'made with the plane by k8sk8s',
  );
  return workerKubeconfig(spec, addresses, authority, token);
}

/** The bootstrap kubeconfig that a kubelet starts with (--bootstrap-kubeconfig). */
export function workerKubeconfig(
  spec: ClusterSpec,
  addresses: Addresses,
  certificateAuthority: string,
  token: string,
): string {
  return buildKubeconfig({
    server: addresses.workerServer,
    certificateAuthority,
    clusterName: spec.host,
    userName: 'kubelet-bootstrap',
    client: { token },
  });
}

/** Removes the files of `dir` that contain this plane's CA, and then the folder if it is empty. */
export function purgeFiles(
  dir: string,
  certificateAuthority: string | undefined,
): { removed: string[]; kept: string[] } {
  const removed: string[] = [];
  const kept: string[] = [];
  const { workerScript: script, ...others } = filePaths(dir);
  for (const file of Object.values(others)) {
    if (!existsSync(file)) continue;
    if (certificateAuthority !== undefined && belongsToAuthority(file, certificateAuthority)) {
      rmSync(file);
      removed.push(file);
    } else kept.push(file);
  }
  if (removed.length > 0 && kept.length === 0 && existsSync(script) && hasWorkerScript(script)) {
    rmSync(script);
    removed.push(script);
  }
  if (removed.length > 0 && readdirSync(dir).length === 0) rmdirSync(dir);
  return { removed, kept };
}
