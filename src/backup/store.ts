import { Readable } from 'node:stream';
import { UserError } from '../base/errors.ts';
import { option, words } from '../base/words.ts';
import { wholeFile } from './file.ts';
import { planeOf } from './names.ts';

export interface StoredBackup {
  name: string;
  /** Bytes. */
  size: number;
}

/** The volume or bucket with a schedule's backups, for reading. */
export interface BackupStore {
  /** Its name in messages: `the volume`, `s3://backups/team`. */
  where: string;
  /** The oldest first. */
  list(): Promise<StoredBackup[]>;
  content(backup: StoredBackup): Promise<Readable>;
}

/**
 * Downloads a backup into a file.
 *
 * @param name undefined for the newest
 * @throws UserError `no-backups`, and what the store throws
 */
export async function fetchBackup(store: BackupStore, name: string | undefined, file: string): Promise<StoredBackup> {
  const wanted = chooseBackup(store.where, await store.list(), name);
  await wholeFile(file, async (write) => write(Readable.from(whole(await store.content(wanted), wanted.size))));
  return wanted;
}

/** The newest backup, or the one with a name. Pure. @throws UserError `no-backups` */
export function chooseBackup(where: string, kept: StoredBackup[], name: string | undefined): StoredBackup {
  const names = kept.map((each) => each.name).join(', ');
  if (name === undefined && new Set(kept.map((each) => planeOf(each.name))).size > 1)
    throw new UserError({
      what: `backups of several planes are at ${where}`,
      why: `there are ${names}`,
      fix: words`say which with ${option('name')}`,
      anchor: 'no-backups',
      kind: 'refused',
    });
  const wanted = name === undefined ? kept.at(-1) : kept.find((each) => each.name === name);
  if (wanted) return wanted;
  throw new UserError({
    what: name === undefined ? `no backup is at ${where} yet` : `there is no backup "${name}" at ${where}`,
    why: kept.length > 0 ? `there are ${names}` : 'its CronJob has not run yet, or failed',
    fix: 'look at: kubectl get jobs, in the namespace of the plane',
    anchor: 'no-backups',
  });
}

async function* whole(content: Readable, size: number): AsyncGenerator<Buffer> {
  let come = 0;
  for await (const chunk of content as AsyncIterable<Buffer>) {
    come += chunk.length;
    yield chunk;
  }
  if (come !== size) throw new Error(`${come} of ${size} bytes came`);
}
