import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, pack } from 'tar-stream';
import { messageOf, UserError } from '../base/errors.ts';
import type { Secret } from '../kube/objects.ts';
import type { PlaneRecord } from '../plane/record.ts';

/** The header of a backup. */
export interface BackupHead {
  /** Version of the file's layout. */
  format: 1;
  /** RFC 3339. */
  created: string;
  toolVersion: string;
  namespace: string;
  record: PlaneRecord;
  /** Addresses of the plane; a restore looks there for the old plane. */
  addresses: { publicServer: string; workerServer: string; nodePort: number; infraNodes: string[] };
  /** `revision`: etcd's revision when the snapshot began; the snapshot contains at least this one. */
  etcd: { version: string; revision: number };
}

/** The names in the archive, in their order. It is an ordinary tar; `sha256sum -c SHA256SUMS` verifies it without k8sk8s. */
const names = { head: 'backup.json', secrets: 'secrets.json', snapshot: 'snapshot.db', sums: 'SHA256SUMS' };

const format = 1;

/** The stream of a backup before encryption. An error of `snapshot` ends it. */
export function writeArchive(
  head: BackupHead,
  secrets: Secret[],
  snapshot: { size: number; chunks: AsyncIterable<Buffer> },
): Readable {
  const archive = pack();
  // An error that ends the archive also ends the entry that is being written; the archive reports it.
  const entryOf = (header: { name: string; size?: number }, text?: string) =>
    archive.entry({ mode: 0o600, ...header }, text as string).on('error', () => undefined);
  const sums: string[] = [];
  const whole = (name: string, content: unknown) => {
    const text = `${JSON.stringify(content, null, 2)}\n`;
    entryOf({ name }, text);
    sums.push(sumLine(name, createHash('sha256').update(text).digest('hex')));
  };
  const write = async () => {
    whole(names.head, head);
    whole(names.secrets, secrets);
    const hash = createHash('sha256');
    const hashed = async function* () {
      for await (const chunk of snapshot.chunks) {
        hash.update(chunk);
        yield chunk;
      }
    };
    const entry = entryOf({ name: names.snapshot, size: snapshot.size });
    await pipeline(Readable.from(hashed()), entry);
    sums.push(sumLine(names.snapshot, hash.digest('hex')));
    entryOf({ name: names.sums }, sums.join(''));
    archive.finalize();
  };
  write().catch((error) => archive.destroy(error instanceof Error ? error : new Error(String(error))));
  return Readable.from(archive as AsyncIterable<Buffer>, { objectMode: false });
}

function sumLine(name: string, sha256: string): string {
  return `${sha256}  ${name}\n`;
}

/** Gets the parts of a backup in their order. */
export interface Visitor {
  head?(head: BackupHead): void;
  secrets?(secrets: Secret[]): void;
  snapshot?(chunk: Buffer): Promise<void>;
}

/**
 * Reads a backup to its end and compares its checksums. Until then, what the visitor got may be wrong.
 *
 * @throws UserError `backup-damaged` when it is not a complete backup; and what the visitor throws
 */
export async function readArchive(content: Readable, visitor: Visitor): Promise<void> {
  let [sums, expected] = ['', ''];
  let refused: { error: unknown } | undefined;
  await eachEntry(content, async (name, body) => {
    const hash = createHash('sha256');
    const kept: Buffer[] = [];
    for await (const chunk of body) {
      hash.update(chunk);
      if (name !== names.snapshot) kept.push(chunk);
      else
        await visitor.snapshot?.(chunk)?.catch((error) => {
          refused = { error };
          throw error;
        });
    }
    const text = Buffer.concat(kept).toString('utf8');
    if (name === names.sums) expected = text;
    else sums += sumLine(name, hash.digest('hex'));
    if (name === names.head) visitor.head?.(parseHead(text));
    if (name === names.secrets) visitor.secrets?.(JSON.parse(text) as Secret[]);
  }).catch((error) => Promise.reject(refused ? refused.error : error));
  if (sums === '') throw damaged('nothing of a backup is in it');
  if (expected === '') throw damaged('its end is missing');
  if (sums !== expected) throw damaged('its content is not what its checksums say');
}

/** The header of a backup, from its first bytes; the rest is not checked. @throws UserError `backup-damaged` */
export async function readHeadOf(content: Readable): Promise<BackupHead> {
  let head: BackupHead | undefined;
  await eachEntry(content, async (name, body) => {
    if (name !== names.head) throw new Error('it does not begin as a backup does');
    const chunks: Buffer[] = [];
    for await (const chunk of body) chunks.push(chunk);
    head = parseHead(Buffer.concat(chunks).toString('utf8'));
    return 'enough';
  });
  if (!head) throw damaged('nothing of a backup is in it');
  return head;
}

/** Gives each part of the archive to `take`, until `take` wants no more. */
async function eachEntry(
  content: Readable,
  take: (name: string, body: AsyncIterable<Buffer>) => Promise<unknown>,
): Promise<void> {
  const archive = extract();
  content.on('error', (error) => archive.destroy(error));
  content.pipe(archive);
  try {
    for await (const entry of archive)
      if ((await take(entry.header.name, entry as AsyncIterable<Buffer>)) === 'enough') return;
  } catch (error) {
    throw error instanceof UserError ? error : damaged(messageOf(error), error);
  } finally {
    content.destroy();
  }
}

function parseHead(text: string): BackupHead {
  const head = JSON.parse(text) as BackupHead;
  if (head.format !== format)
    throw new UserError({
      what: `the backup has format ${head.format}, which this k8sk8s does not know`,
      fix: `use the k8sk8s that made it, or a newer one: ${head.toolVersion}`,
      anchor: 'backup-damaged',
    });
  return head;
}

export function damaged(why: string, cause?: unknown): UserError {
  return new UserError({
    what: 'the backup is damaged, or the file is not a backup',
    why,
    fix: 'use another copy or an earlier backup',
    anchor: 'backup-damaged',
    cause,
  });
}
