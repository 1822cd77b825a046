import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import type { Entry, Rootfs } from './rootfs.ts';

export interface ImageConfig {
  /** Names with tags, as manifests have them. */
  references: readonly string[];
  architecture: 'amd64' | 'arm64';
  entrypoint?: string[];
  command?: string[];
  /** `UID:GID`; root when absent. Numbers, because runAsNonRoot cannot be checked against a name. */
  user?: string;
}

type TarHeader = Parameters<Pack['entry']>[0];

const epoch = new Date(0);

/**
 * VFS_CAP_REVISION_2 with the effective flag and CAP_NET_BIND_SERVICE permitted (capabilities(7)); what
 * `setcap cap_net_bind_service=+ep` writes.
 */
const netBindService = '\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0';

/**
 * Writes an image with one layer as `docker save` does (the "docker archive" that `ctr images import` takes). The
 * same content gives the same bytes.
 *
 * @param path a new file; `${path}.layer` is used meanwhile
 */
export async function writeImage(path: string, rootfs: Rootfs, config: ImageConfig): Promise<void> {
  const layer = `${path}.layer`;
  try {
    const layerSum = await writeLayer(layer, rootfs);
    const configText = JSON.stringify(imageConfig(config, layerSum));
    const configSum = createHash('sha256').update(configText).digest('hex');
    const manifest = JSON.stringify([
      { Config: `${configSum}.json`, RepoTags: config.references, Layers: [`${layerSum}/layer.tar`] },
    ]);
    const { size } = await stat(layer);
    await writeTar(createWriteStream(path), async (tar) => {
      await addText(tar, { name: `${configSum}.json`, mode: 0o644 }, configText);
      await addFile(tar, { name: `${layerSum}/layer.tar`, mode: 0o644, size }, layer);
      await addText(tar, { name: 'manifest.json', mode: 0o644 }, manifest);
    });
  } finally {
    await rm(layer, { force: true });
  }
}

/** An image's config (https://github.com/opencontainers/image-spec/blob/main/config.md). */
function imageConfig(config: ImageConfig, layerSum: string) {
  return {
    architecture: config.architecture,
    os: 'linux',
    created: epoch.toISOString(),
    config: {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      Entrypoint: config.entrypoint ?? [],
      Cmd: config.command ?? [],
      User: config.user ?? '',
      WorkingDir: '/',
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${layerSum}`] },
    history: [{ created: epoch.toISOString() }],
  };
}

/** Returns the layer's SHA-256 in hex, which is its diff id. */
async function writeLayer(path: string, rootfs: Rootfs): Promise<string> {
  const hash = createHash('sha256');
  const hashing = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      hash.update(chunk);
      next(null, chunk);
    },
  });
  const output = createWriteStream(path);
  const written = pipeline(hashing, output);
  await Promise.all([
    written,
    writeTar(hashing, async (tar) => {
      for (const name of [...rootfs.entries.keys()].sort()) await addEntry(tar, name, rootfs.entries.get(name)!);
    }),
  ]);
  return hash.digest('hex');
}

async function addEntry(tar: Pack, name: string, entry: Entry): Promise<void> {
  switch (entry.kind) {
    case 'folder':
      return addText(tar, { name: `${name}/`, type: 'directory', mode: entry.mode }, '');
    case 'link':
      return addText(tar, { name, type: 'symlink', linkname: entry.target, mode: 0o777 }, '');
    case 'text':
      return addText(tar, { name, mode: entry.mode }, entry.text);
    case 'file': {
      const pax = entry.capability ? { pax: { 'SCHILY.xattr.security.capability': netBindService } } : {};
      return addFile(tar, { name, mode: entry.mode, size: entry.size, ...pax }, entry.source);
    }
  }
}

const owner = { uid: 0, gid: 0, mtime: epoch };

async function addText(tar: Pack, header: TarHeader, text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    tar.entry({ ...header, ...owner }, text, (error) => (error ? reject(error) : resolve()));
  });
}

async function addFile(tar: Pack, header: TarHeader, source: string): Promise<void> {
  await pipeline(createReadStream(source, { highWaterMark: 1 << 20 }), tar.entry({ ...header, ...owner }));
}

async function writeTar(output: NodeJS.WritableStream, fill: (tar: Pack) => Promise<void>): Promise<void> {
  const tar = pack();
  const written = pipeline(tar, output);
  // The first failure of either side ends the other.
  const filled = fill(tar).then(
    () => tar.finalize(),
    (error) => tar.destroy(error),
  );
  await Promise.all([written, filled]);
}
