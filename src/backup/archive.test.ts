import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BackupHead, readArchive, readHeadOf, writeArchive } from './archive.ts';
import { openBackup, type Seal, seal } from './seal.ts';

const head = { format: 1, namespace: 'a', record: { planeId: 'plane-1' } } as BackupHead;
const secrets = [{ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'etcd' }, data: { key: 'a2V5' } }];
const snapshot = Buffer.alloc(200_000, 'snapshot');

const folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-backup-'));
afterAll(() => rmSync(folder, { recursive: true }));
const nobody = { identities: [] };

async function backup(how: Seal): Promise<Buffer> {
  const chunks = (async function* () {
    for (let at = 0; at < snapshot.length; at += 30_000) yield snapshot.subarray(at, at + 30_000);
  })();
  return buffer(await seal(writeArchive(head, secrets, { size: snapshot.length, chunks }), how));
}

let files = 0;
function fileOf(content: Buffer): string {
  const file = path.join(folder, String(files++));
  writeFileSync(file, content);
  return file;
}

async function read(file: string, keys = nobody as Parameters<typeof openBackup>[1]) {
  const { sealed, content } = await openBackup(file, keys);
  const found: { sealed: boolean; head?: BackupHead; secrets?: object[]; snapshot: Buffer[] } = {
    sealed,
    snapshot: [],
  };
  await readArchive(content, {
    head: (each) => {
      found.head = each;
    },
    secrets: (each) => {
      found.secrets = each;
    },
    snapshot: async (chunk) => void found.snapshot.push(chunk),
  });
  return found;
}

let plain: Buffer;
let sealed: Buffer;
let identity: string;
beforeAll(async () => {
  identity = await generateIdentity();
  plain = await backup('plaintext');
  sealed = await backup({ recipients: [await identityToRecipient(identity)] });
});

test('what was written comes back, sealed or not', async () => {
  for (const [file, keys] of [
    [fileOf(plain), nobody],
    [fileOf(sealed), { identities: [identity] }],
  ] as const) {
    const found = await read(file, { ...keys, identities: [...keys.identities] });
    expect(found).toMatchObject({ sealed: keys !== nobody, head, secrets });
    expect(Buffer.concat(found.snapshot).equals(snapshot)).toBe(true);
  }
  expect(await readHeadOf((await openBackup(fileOf(plain), nobody)).content)).toEqual(head);
});

// A passphrase costs a second of a processor each time, on purpose.
test('a passphrase opens what it closed, and no other does', { timeout: 120_000 }, async () => {
  const file = fileOf(await backup({ passphrase: 'right' }));
  expect((await read(file, { identities: [], passphrase: 'right' })).head).toEqual(head);
  await expect(read(file, { identities: [], passphrase: 'wrong' })).rejects.toMatchObject({ anchor: 'backup-key' });
  await expect(read(file)).rejects.toMatchObject({ anchor: 'backup-key', kind: 'usage' });
});

test('a byte changed anywhere is noticed', async () => {
  for (const [content, keys] of [
    [plain, nobody],
    [sealed, { identities: [identity] }],
  ] as const)
    for (let at = 0; at < content.length; at += 4999) {
      const changed = Buffer.from(content);
      changed[at]! ^= 1;
      // The rest of a block behind a part carries nothing.
      if (content === plain && content[at] === 0) continue;
      await expect(
        read(fileOf(changed), { ...keys, identities: [...keys.identities] }),
        `byte ${at}`,
      ).rejects.toMatchObject({
        anchor: expect.stringMatching(/^backup-(damaged|key)$/),
      });
    }
});

test('a file that ends too early is no backup, wherever it ends', async () => {
  for (const [content, keys] of [
    [plain, nobody],
    [sealed, { identities: [identity] }],
  ] as const)
    for (const length of [0, 10, 100, 600, 2000, 100_000, content.length - 3000])
      await expect(
        read(fileOf(content.subarray(0, length)), { ...keys, identities: [...keys.identities] }),
        `${length} bytes`,
      ).rejects.toMatchObject({ anchor: expect.stringMatching(/^backup-(damaged|key)$/) });
});

test('a snapshot that breaks off ends the backup', async () => {
  const chunks = (async function* () {
    yield snapshot.subarray(0, 1000);
    throw new Error('etcd is gone');
  })();
  const content = await seal(writeArchive(head, secrets, { size: snapshot.length, chunks }), 'plaintext');
  await expect(buffer(content)).rejects.toThrow('etcd is gone');
});

test('nothing of the content is in a sealed file', () => {
  expect(readFileSync(fileOf(sealed)).includes('plane-1')).toBe(false);
});

test('what ends the snapshot ends the backup before its end, sealed or not, and is told as it is', async () => {
  const unsound = new Error('unsound');
  for (const how of ['plaintext', { recipients: [await identityToRecipient(identity)] }] satisfies Seal[]) {
    const chunks = (async function* () {
      yield snapshot;
      throw unsound;
    })();
    const content = await seal(writeArchive(head, secrets, { size: snapshot.length, chunks }), how);
    await expect(buffer(content)).rejects.toBe(unsound);
  }
});
