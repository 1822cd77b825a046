import type { Readable } from 'node:stream';
import { messageOf, UserError } from '../base/errors.ts';
import { again, command, words } from '../base/words.ts';
import type { EtcdGateway } from '../etcd/gateway.ts';
import { type SnapshotFacts, SnapshotReader } from '../etcd/snapshot.ts';
import type { Secret } from '../kube/objects.ts';
import { type BackupHead, writeArchive } from './archive.ts';
import { type Seal, seal } from './seal.ts';

export interface BackupSource {
  head: Omit<BackupHead, 'etcd'>;
  secrets: Secret[];
  etcd: EtcdGateway;
  seal: Seal;
  write(content: Readable): Promise<void>;
  /** Bytes of the snapshot: read so far, and in all. */
  progress(done: number, size: number): void;
  signal?: AbortSignal;
}

/** Reads etcd's snapshot, checks it on the way, and writes it with the rest. @throws UserError as createBackup */
export async function streamBackup(source: BackupSource): Promise<SnapshotFacts> {
  const { version, revision } = await source.etcd.status(source.signal);
  const snapshot = await source.etcd.snapshot(source.signal);
  const reader = new SnapshotReader();
  let done = 0;
  let facts: SnapshotFacts | undefined;
  const passing = async function* () {
    for await (const chunk of snapshot.chunks) {
      reader.add(chunk);
      done += chunk.length;
      source.progress(done, snapshot.size);
      yield chunk;
    }
    // Before the end of the stream: an unsound snapshot never ends, so nothing takes it for complete.
    facts = checked(reader, revision);
  };
  const archive = writeArchive({ ...source.head, etcd: { version, revision } }, source.secrets.map(bare), {
    size: snapshot.size,
    chunks: passing(),
  });
  await source.write(await seal(archive, source.seal));
  return facts!;
}

/**
 * The facts of a complete snapshot.
 *
 * @param revision etcd's revision before the snapshot began
 * @throws UserError `snapshot-unsound`
 */
export function checked(reader: SnapshotReader, revision: number): SnapshotFacts {
  const unsound = (why: string) =>
    new UserError({
      what: 'the etcd snapshot is not sound',
      why,
      fix: words`for a new backup, ${again}, and look at ${command('logs', undefined, 'etcd')} if it fails again; for a file, use another backup`,
      anchor: 'snapshot-unsound',
    });
  let facts: SnapshotFacts;
  try {
    facts = reader.finish();
  } catch (error) {
    throw unsound(messageOf(error));
  }
  if (facts.revision < revision)
    throw unsound(`its newest revision is ${facts.revision}, and etcd was at ${revision} before the snapshot began`);
  return facts;
}

/** Without the fields that the infra cluster has set. */
function bare({ apiVersion, kind, metadata: { name, labels }, type, data }: Secret): Secret {
  return { apiVersion, kind, metadata: { name, labels }, type, data };
}
