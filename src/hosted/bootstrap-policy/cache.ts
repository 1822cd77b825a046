import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { cacheRoot } from '../../base/cache-root.ts';
import { type BootstrapPolicy, isPolicy } from './policy.ts';

function fileOf(kubernetesVersion: string): string {
  return path.join(cacheRoot(), 'bootstrap-policy', `${kubernetesVersion}.json`);
}

/** @returns undefined where there is none, or one that is not whole or of another version */
export function cachedPolicy(kubernetesVersion: string): BootstrapPolicy | undefined {
  try {
    const policy: unknown = JSON.parse(readFileSync(fileOf(kubernetesVersion), 'utf8'));
    return isPolicy(policy, kubernetesVersion) ? policy : undefined;
  } catch {
    return undefined;
  }
}

/** Only a saving of time: where it cannot be written, the next plane does without. */
export function cachePolicy(policy: BootstrapPolicy): void {
  const file = fileOf(policy.kubernetesVersion);
  const next = `${file}.${process.pid}`;
  try {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(next, JSON.stringify(policy), { mode: 0o600 });
    renameSync(next, file);
  } catch {
    // A home that is read-only, or none.
  }
}
