import { createHash } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, rename, rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { messageOf, UserError } from '../../base/errors.ts';
import { again, words } from '../../base/words.ts';
import { writeAtomically } from './cache.ts';
import { kubernetesOrigin, type Release } from './releases.ts';

/** How the sandbox gets its programs: `K8SK8S_ARTIFACTS`. */
export type ArtifactMode = 'auto' | 'build' | 'download';

/**
 * `$K8SK8S_ARTIFACTS`, by default `auto`: download what is published and reachable, build the rest.
 *
 * @throws UserError `artifacts-mode`
 */
export function artifactMode(env: NodeJS.ProcessEnv = process.env): ArtifactMode {
  const value = env.K8SK8S_ARTIFACTS || 'auto';
  if (value === 'auto' || value === 'build' || value === 'download') return value;
  throw new UserError({
    what: `K8SK8S_ARTIFACTS is "${value}"`,
    why: 'possible values are auto, build and download',
    fix: 'unset it to download official releases where possible and build the rest',
    anchor: 'artifacts-mode',
    kind: 'usage',
  });
}

/** How long the test for a connection to the internet may take in milliseconds, with the DNS lookup. */
const probeLimit = 5000;
/** A download that receives no byte for so many milliseconds has failed. */
const idleLimit = 30_000;

/**
 * Whether official releases can be reached, asked once: first the name, then one small request.
 *
 * @param origin `https://HOST[:PORT]`
 * @returns why not, or undefined when they can
 */
export async function unreachable(
  origin: string = kubernetesOrigin,
  limit: number = probeLimit,
): Promise<string | undefined> {
  const { hostname } = new URL(origin);
  const deadline = performance.now() + limit;
  const literal = /^[\d.]+$|^\[/.test(hostname);
  // Not dns.lookup: that cannot be cancelled, and would hold the process for as long as the system's resolver likes.
  const resolver = new Resolver({ timeout: Math.ceil(limit / 4), tries: 1 });
  const timer = setTimeout(() => resolver.cancel(), limit / 2);
  try {
    if (!literal) await resolver.resolve4(hostname);
  } catch (error) {
    return `no address found for ${hostname} (${(error as NodeJS.ErrnoException).code ?? messageOf(error)})`;
  } finally {
    clearTimeout(timer);
  }
  try {
    await fetch(origin, {
      method: 'HEAD',
      redirect: 'manual',
      signal: AbortSignal.timeout(Math.max(1, Math.ceil(deadline - performance.now()))),
    });
    return undefined;
  } catch (error) {
    return `${hostname} does not answer (${causeOf(error)})`;
  }
}

/**
 * Downloads one program, and puts it into the cache when its checksum is the published one.
 *
 * @param onProgress bytes so far, and the total where the server tells
 * @throws UserError `download-failed`, or `checksum-mismatch` when the file is not the published one
 */
export async function downloadBinary(
  release: Release,
  target: string,
  onProgress: (bytes: number, total?: number) => void,
): Promise<void> {
  const expected = publishedSum(await text(release.checksumUrl), basename(release.url));
  if (!expected) throw failed(release.checksumUrl, 'it holds no SHA-256 sum of that file');
  await writeAtomically(target, async (temporary) => {
    const archive = `${temporary}.download`;
    try {
      const sum = await fetchTo(release.url, archive, onProgress);
      if (sum !== expected) throw mismatch(release, expected, sum);
      if (release.member) await extractMember(archive, release.member, temporary, release.url);
      else await rename(archive, temporary);
      await chmod(temporary, 0o755);
    } finally {
      await rm(archive, { force: true });
    }
  });
}

/** The sum of `name` in a checksum file: `SUM`, or lines of `SUM  NAME` or `SUM *NAME`. */
export function publishedSum(file: string, name: string): string | undefined {
  for (const line of file.split('\n')) {
    const match = /^([0-9a-f]{64})(?:\s+\*?(\S+))?\s*$/i.exec(line);
    if (match?.[1] && (match[2] === undefined || basename(match[2]) === name)) return match[1].toLowerCase();
  }
  return undefined;
}

async function text(url: string): Promise<string> {
  const response = await request(url, AbortSignal.timeout(idleLimit));
  return response.text().catch((error) => {
    throw failed(url, causeOf(error), error);
  });
}

async function request(url: string, signal: AbortSignal): Promise<Response> {
  const response = await fetch(url, { signal }).catch((error) => {
    throw failed(url, causeOf(error), error);
  });
  if (!response.ok) throw failed(url, `the server answered ${response.status} ${response.statusText}`);
  return response;
}

/** Streams `url` into `path`. Returns the SHA-256 in hex. */
async function fetchTo(
  url: string,
  path: string,
  onProgress: (bytes: number, total?: number) => void,
): Promise<string> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(new Error(`no data for ${idleLimit / 1000} s`)), idleLimit);
  try {
    const response = await request(url, abort.signal);
    const total = Number(response.headers.get('content-length')) || undefined;
    const hash = createHash('sha256');
    let bytes = 0;
    const meter = new Transform({
      transform(chunk: Buffer, _encoding, next) {
        timer.refresh();
        hash.update(chunk);
        bytes += chunk.length;
        onProgress(bytes, total);
        next(null, chunk);
      },
    });
    if (!response.body) throw failed(url, 'the answer is empty');
    await pipeline(
      Readable.fromWeb(response.body as import('node:stream/web').ReadableStream),
      meter,
      createWriteStream(path),
    ).catch((error) => {
      throw (error as NodeJS.ErrnoException).code === 'ENOSPC' ? error : failed(url, causeOf(error), error);
    });
    return hash.digest('hex');
  } finally {
    clearTimeout(timer);
  }
}

async function extractMember(archive: string, member: string, target: string, url: string): Promise<void> {
  const unpack = extract();
  let found = false;
  unpack.on('entry', (header, stream, next) => {
    if (header.name.replace(/^\.\//, '') !== member || header.type !== 'file') {
      stream.on('end', next);
      stream.resume();
      return;
    }
    found = true;
    pipeline(stream, createWriteStream(target)).then(() => next(), next);
  });
  await pipeline(createReadStream(archive), createGunzip(), unpack);
  if (!found) throw failed(url, `there is no ${member} in it`);
}

function failed(url: string, why: string, cause?: unknown): UserError {
  return new UserError({
    what: `cannot download ${url}`,
    why,
    fix: words`${again}, or set K8SK8S_ARTIFACTS=build to build from Go modules instead`,
    anchor: 'download-failed',
    cause,
  });
}

function mismatch(release: Release, expected: string, got: string): UserError {
  return new UserError({
    what: `${release.url} is not the file that was published`,
    why: `its SHA-256 sum is ${got}, but ${release.checksumUrl} says ${expected}; the file was deleted`,
    fix: 'a proxy may change downloads on the way: try another network, or build from Go modules with K8SK8S_ARTIFACTS=build',
    anchor: 'checksum-mismatch',
  });
}

/** fetch keeps the reason in `cause`: its own message is `fetch failed`, the one of the cause `ECONNREFUSED`. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return messageOf(cause ?? error);
}
