import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { packageFile } from '../../base/package-file.ts';

/** The files of this package as it is published (`npm pack`), by their paths in it. */
export function packageFiles(): string[] {
  const { files } = JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { files: string[] };
  return ['package.json', ...files]
    .filter((each) => existsSync(packageFile(each)))
    .flatMap((each) =>
      statSync(packageFile(each)).isDirectory()
        ? readdirSync(packageFile(each), { recursive: true, withFileTypes: true })
            .filter((entry) => entry.isFile())
            .map((entry) => path.relative(packageFile('.'), path.join(entry.parentPath, entry.name)))
        : [each],
    )
    .sort();
}

/** SHA-256 of all of them, names included: a build that changed nothing changes nothing here. */
export function packageHash(): string {
  const hash = createHash('sha256');
  for (const file of packageFiles())
    hash
      .update(`${file}\0`)
      .update(readFileSync(packageFile(file)))
      .update('\0');
  return hash.digest('hex');
}
