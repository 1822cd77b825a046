import { createHash } from 'node:crypto';

/** The facts of a complete snapshot. */
export interface SnapshotFacts {
  /** Size in bytes, with the hash at its end. */
  size: number;
  /** SHA-256 of the database, hexadecimal. */
  sha256: string;
  /** The newest revision in it. */
  revision: number;
}

const digestLength = 32;

/**
 * Reads an etcd snapshot as a stream: the database file (bbolt, https://github.com/etcd-io/bbolt) and the SHA-256 that
 * etcd appends. The revision is the last key of the bucket `key`, which only the whole tree shows. For each page only the target
 * of its last element is stored, so memory stays small for snapshots of any size.
 */
export class SnapshotReader {
  readonly #hash = createHash('sha256');
  readonly #pages = new Pages();
  #tail: Buffer = Buffer.alloc(0);
  #size = 0;

  add(chunk: Buffer): void {
    this.#size += chunk.length;
    const all = this.#tail.length === 0 ? chunk : Buffer.concat([this.#tail, chunk]);
    // The last bytes may be the hash, so they wait until more bytes have come.
    const database = all.subarray(0, Math.max(0, all.length - digestLength));
    this.#tail = Buffer.from(all.subarray(database.length));
    this.#hash.update(database);
    this.#pages.add(database);
  }

  /** @throws Error that says what is wrong with the snapshot */
  finish(): SnapshotFacts {
    if (this.#size <= digestLength) throw new Error('it is empty');
    const sha256 = this.#hash.digest('hex');
    if (sha256 !== this.#tail.toString('hex')) throw new Error('its hash is not that of its content');
    return { size: this.#size, sha256, revision: this.#pages.newestRevision() };
  }
}

const magic = 0xed0cdaed;
const branchPage = 0x01;
const leafPage = 0x02;
const bucketElement = 0x01;
const headerLength = 16;
const elementLength = 16;
/** Main revision (8 bytes, big endian), `_`, sub revision. */
const revisionLength = 8;

/** The pages of a bbolt file, in the order of the file. */
class Pages {
  #size = 0;
  #index = 0;
  #buffer: Buffer = Buffer.alloc(0);
  /** Of the two meta pages, the one of the later transaction counts. */
  #meta: { transaction: bigint; root: number } | undefined;
  readonly #roots = new Map<number, Buffer>();
  readonly #lastChild = new Map<number, number>();
  readonly #lastKey = new Map<number, number>();
  /** Keys in pages that have not come yet: absolute position, and the page whose last key it is. */
  readonly #later = new Map<number, { at: number; page: number }[]>();

  add(chunk: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    if (this.#size === 0) {
      if (this.#buffer.length < headerLength + 64) return;
      if (this.#buffer.readUInt32LE(headerLength) !== magic) throw new Error('it is not a bbolt database');
      this.#size = this.#buffer.readUInt32LE(headerLength + 8);
    }
    // One page more than is read, because a key may extend into the next page.
    let at = 0;
    for (; this.#buffer.length - at >= 2 * this.#size; at += this.#size) this.#read(at);
    this.#buffer = Buffer.from(this.#buffer.subarray(at));
  }

  newestRevision(): number {
    for (let at = 0; at < this.#buffer.length; at += this.#size) this.#read(at);
    if (!this.#meta) throw new Error('it has no meta page');
    const bucket = this.#keyBucket(this.#meta.root);
    let page = bucket;
    for (let depth = 0; depth < 64; depth++) {
      const revision = this.#lastKey.get(page);
      if (revision !== undefined) return revision;
      const child = this.#lastChild.get(page);
      if (child === undefined) break;
      page = child;
    }
    throw new Error('the tree of its keys is broken');
  }

  #read(at: number): void {
    const page = this.#buffer.subarray(at, at + this.#size);
    const index = this.#index++;
    if (page.length < headerLength + 64) return;
    for (const { at: position, page: owner } of this.#later.get(index) ?? [])
      this.#lastKey.set(owner, this.#revisionAt(at + (position - index * this.#size)));
    this.#later.delete(index);
    if (index < 2) {
      this.#readMeta(page);
      return;
    }
    const [flags, count] = [page.readUInt16LE(8), page.readUInt16LE(10)];
    const element = headerLength + (count - 1) * elementLength;
    if (Number(page.readBigUInt64LE(0)) !== index || count === 0 || element + elementLength > page.length) return;
    if (flags === branchPage) this.#lastChild.set(index, Number(page.readBigUInt64LE(element + 8)));
    else if (flags === leafPage) {
      // The root of all buckets has their names as keys, not revisions, so the whole page is stored.
      if (index === this.#meta?.root) this.#roots.set(index, Buffer.from(page));
      const position = index * this.#size + element + page.readUInt32LE(element + 4);
      const where = Math.floor(position / this.#size);
      if (where === index) this.#lastKey.set(index, this.#revisionAt(at + (position % this.#size)));
      else this.#later.set(where, [...(this.#later.get(where) ?? []), { at: position, page: index }]);
    }
  }

  #readMeta(page: Buffer): void {
    if (page.readUInt32LE(headerLength) !== magic) return;
    const root = Number(page.readBigUInt64LE(headerLength + 16));
    const transaction = page.readBigUInt64LE(headerLength + 48);
    if (!this.#meta || transaction > this.#meta.transaction) this.#meta = { transaction, root };
  }

  #revisionAt(position: number): number {
    return position + revisionLength <= this.#buffer.length ? Number(this.#buffer.readBigUInt64BE(position)) : 0;
  }

  /** The page where the tree of bucket `key` begins, found by its name in the root of all buckets. */
  #keyBucket(root: number): number {
    const page = this.#roots.get(root);
    for (let element = 0; page && element < page.readUInt16LE(10); element++) {
      const at = headerLength + element * elementLength;
      const [flags, position, keyLength] = [
        page.readUInt32LE(at),
        page.readUInt32LE(at + 4),
        page.readUInt32LE(at + 8),
      ];
      const key = page.subarray(at + position, at + position + keyLength).toString('latin1');
      if (key === 'key' && flags === bucketElement) return Number(page.readBigUInt64LE(at + position + keyLength));
    }
    throw new Error('it has no keys');
  }
}
