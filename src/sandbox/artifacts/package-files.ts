import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

/** The files of the package in `folder` as it is published (`npm pack`), by their paths in it. */
export function packageFiles(folder: string): string[] {
  const inside = (relative: string) => path.join(folder, relative);
  const { files } = JSON.parse(readFileSync(inside('package.json'), 'utf8')) as { files: string[] };
  return ['package.json', ...files]
    .filter((each) => existsSync(inside(each)))
    .flatMap((each) =>
      statSync(inside(each)).isDirectory()
        ? readdirSync(inside(each), { recursive: true, withFileTypes: true })
            .filter((entry) => entry.isFile())
            .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
        : [each],
    )
    .sort();
}

/** SHA-256 of all of them, names included: a build that changed nothing changes nothing here. */
export function packageHash(folder: string): string {
  const hash = createHash('sha256');
  for (const file of packageFiles(folder))
    hash
      .update(`${file}\0`)
      .update(readFileSync(path.join(folder, file)))
      .update('\0');
  return hash.digest('hex');
}
