import { UserError } from '../base/errors.ts';
import { type SnapshotFacts, SnapshotReader } from '../etcd/snapshot.ts';
import type { Secret } from '../kube/objects.ts';
import { matches } from '../pki/inspect.ts';
import { readBundle } from '../plane/secrets.ts';
import { type BackupHead, damaged, readArchive, readHeadOf } from './archive.ts';
import { type Keys, openBackup } from './seal.ts';
import { checked } from './stream.ts';

export interface VerifiedBackup {
  head: BackupHead;
  sealed: boolean;
  snapshot: SnapshotFacts;
  secrets: Secret[];
}

/**
 * Reads a whole backup and checks its encryption, its checksums, the snapshot's own hash and revision, and whether the key of each
 * CA belongs to its certificate.
 *
 * @throws UserError `backup-key`, `backup-damaged`, `snapshot-unsound`, `file-not-readable`
 */
export async function verifyBackup(file: string, keys: Keys): Promise<VerifiedBackup> {
  const { sealed, content } = await openBackup(file, keys);
  const reader = new SnapshotReader();
  let head: BackupHead | undefined;
  let secrets: Secret[] = [];
  let broken: unknown;
  await readArchive(content, {
    head: (found) => {
      head = found;
    },
    secrets: (found) => {
      secrets = found;
    },
    async snapshot(chunk) {
      // The checksums at the end report a damaged page.
      if (broken) return;
      try {
        reader.add(chunk);
      } catch (error) {
        broken = error;
      }
    },
  });
  if (broken) throw damaged((broken as Error).message, broken);
  const bundle = readBundle(secrets);
  const stranger = Object.entries(bundle?.authorities ?? {}).find(
    ([, { certificate, key }]) => key !== '' && !matches(certificate, key),
  );
  if (!head || !bundle?.authorities.ca || stranger)
    throw damaged(
      stranger ? `the key of CA ${stranger[0]} does not belong to its certificate` : 'it contains no CA of a plane',
    );
  return { head, sealed, snapshot: checked(reader, head.etcd.revision), secrets };
}

/** The header of a file. @returns undefined when it is not a backup; without `head` when these keys do not open it */
export async function readHead(file: string, keys: Keys): Promise<{ sealed: boolean; head?: BackupHead } | undefined> {
  try {
    const { sealed, content } = await openBackup(file, keys);
    return { sealed, head: await readHeadOf(content) };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.anchor === 'backup-key' ? { sealed: true } : undefined;
  }
}
