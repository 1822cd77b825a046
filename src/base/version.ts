import { packageText } from './package-file.ts';

/** The version of k8sk8s itself, from package.json. */
export function toolVersion(): string {
  return (JSON.parse(packageText('package.json')) as { version: string }).version;
}
