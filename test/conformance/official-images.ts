import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import pLimit from 'p-limit';
import { cacheRoot } from '../../src/base/cache-root.ts';
import { architecture } from '../../src/sandbox/artifacts/cache.ts';
import type { Reporter } from '../../src/ui/reporter.ts';
import type { SuiteImages } from './images.ts';

/** Whether the registry of most of the suite's images can be reached. */
export async function officialReachable(): Promise<boolean> {
  try {
    // A registry that wants a token answers 401, so it can be reached (https://github.com/opencontainers/distribution-spec).
    const { ok, status } = await fetch('https://registry.k8s.io/v2/', { signal: AbortSignal.timeout(3000) });
    return ok || status === 401;
  } catch {
    return false;
  }
}

/** Pulls images once, as archives. Images that cannot be pulled are `missing`; two of the suite exist to be refused. */
export async function pullImages(crane: string, references: string[], reporter: Reporter): Promise<SuiteImages> {
  const folder = path.join(cacheRoot(), 'images', 'official', architecture());
  mkdirSync(folder, { recursive: true });
  const limit = pLimit(4);
  let done = 0;
  const pulled = await reporter.during(`pulling ${references.length} images of the suite`, (phase) =>
    Promise.all(
      references.map((reference) =>
        limit(async () => {
          const archive = path.join(folder, `${reference.replace(/[^\w.-]/g, '_')}.tar`);
          const there = existsSync(archive) || (await pull(crane, reference, archive, reporter));
          phase.update(`${++done} of ${references.length} images`);
          return { reference, archive: there ? archive : undefined };
        }),
      ),
    ),
  );
  return {
    images: pulled.flatMap(({ reference, archive }) => (archive ? [{ reference, archive }] : [])),
    missing: pulled.filter(({ archive }) => !archive).map(({ reference }) => reference),
  };
}

async function pull(crane: string, reference: string, archive: string, reporter: Reporter): Promise<boolean> {
  try {
    const platform = `linux/${architecture()}`;
    await promisify(execFile)(crane, ['pull', `--platform=${platform}`, reference, `${archive}.new`]);
    renameSync(`${archive}.new`, archive);
    return true;
  } catch (error) {
    reporter.debug(`${reference}: ${(error as Error).message}`);
    return false;
  }
}
