import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { api } from './world.ts';

/** A snapshot of the etcd of this API server, as etcd would send it: for what reads or stores some real one. */
export function ownSnapshot(): { snapshot: Buffer; sha256: string } {
  const database = readFileSync(path.join(api.folder, 'etcd', 'member', 'snap', 'db'));
  const digest = createHash('sha256').update(database).digest();
  return { snapshot: Buffer.concat([database, digest]), sha256: digest.toString('hex') };
}
