import type { Readable } from 'node:stream';
import { messageOf, UserError } from '../base/errors.ts';
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
  /** Bytes of the snapshot that have come, and that there are. */
  progress(done: number, size: number): void;
  signal?: AbortSignal;
}

/** Reads etcd's snapshot, checks it as it passes by, and writes it with the rest. @throws UserError as createBackup */
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
    // Before its end: what is not sound has none, and so is nowhere taken for whole.
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
 * What a whole snapshot is found to be.
 *
 * @param revision what etcd had seen before the snapshot began
 * @throws UserError `snapshot-unsound`
 */
export function checked(reader: SnapshotReader, revision: number): SnapshotFacts {
  const unsound = (why: string) =>
    new UserError({
      what: 'the etcd snapshot is not sound',
      why,
      fix: 'of a new backup: run the command again, and look at k8sk8s logs etcd when it stays so; of a file: use another',
      anchor: 'snapshot-unsound',
    });
  let facts: SnapshotFacts;
  try {
    facts = reader.finish();
  } catch (error) {
    throw unsound(messageOf(error));
  }
  if (facts.revision < revision)
    throw unsound(`its newest revision is ${facts.revision}, and etcd had seen ${revision} before it began`);
  return facts;
}

/** Without what the infra cluster keeps about it. */
function bare({ apiVersion, kind, metadata: { name, labels }, type, data }: Secret): Secret {
  return { apiVersion, kind, metadata: { name, labels }, type, data };
}
