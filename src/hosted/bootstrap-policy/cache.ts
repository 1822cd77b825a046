import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type BootstrapPolicy, isPolicy } from './policy.ts';

function fileOf(folder: string, kubernetesVersion: string): string {
  return path.join(folder, 'bootstrap-policy', `${kubernetesVersion}.json`);
}

/** @returns undefined where there is none, or one that is not whole or of another version */
export function cachedPolicy(folder: string, kubernetesVersion: string): BootstrapPolicy | undefined {
  try {
    const policy: unknown = JSON.parse(readFileSync(fileOf(folder, kubernetesVersion), 'utf8'));
    return isPolicy(policy, kubernetesVersion) ? policy : undefined;
  } catch {
    return undefined;
  }
}

/** Only a saving of time: where it cannot be written, the next plane does without. */
export function cachePolicy(folder: string, policy: BootstrapPolicy): void {
  const file = fileOf(folder, policy.kubernetesVersion);
  const next = `${file}.${randomBytes(4).toString('hex')}`;
  try {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(next, JSON.stringify(policy), { mode: 0o600 });
    renameSync(next, file);
  } catch {
    // A home that is read-only, or none.
  }
}
