import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The path of a file that ships with the package, the same from src/, from dist/ and from dist/chunks/. */
export function packageFile(relative: string): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(folder, 'package.json'))) {
    const parent = path.dirname(folder);
    if (parent === folder) throw new Error(`the package that ${relative} ships with was not found`);
    folder = parent;
  }
  return path.join(folder, relative);
}

/** The text of a file that ships with the package: `templates/plane/etcd.yaml`, `dist/approver.mjs`. */
export function packageText(relative: string): string {
  return readFileSync(packageFile(relative), 'utf8');
}
