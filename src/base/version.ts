import { readFileSync } from 'node:fs';
import { packageFile } from './package-file.ts';

/** The version of k8sk8s itself, from package.json. */
export function toolVersion(): string {
  return (JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { version: string }).version;
}
