import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { extract, type Header } from 'tar-stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeImage } from './archive.ts';
import { baseRootfs, librariesOf, Rootfs } from './rootfs.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'k8sk8s-image-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Unpacked {
  header: Header;
  bytes: Buffer;
}

async function unpack(from: Readable): Promise<Unpacked[]> {
  const found: Unpacked[] = [];
  const reader = extract();
  from.pipe(reader as unknown as NodeJS.WritableStream);
  for await (const entry of reader)
    found.push({ header: entry.header, bytes: await buffer(entry as unknown as NodeJS.ReadableStream) });
  return found;
}

async function sample(): Promise<Rootfs> {
  const source = join(folder, 'program');
  await writeFile(source, 'x'.repeat(3_000_000), { mode: 0o700 });
  const rootfs = await baseRootfs();
  await rootfs.file('/usr/local/bin/program', source, { capability: 'net_bind_service' });
  rootfs.link('/bin/alias', '../usr/local/bin/program');
  return rootfs;
}

const config = {
  references: ['registry.example/thing:v1'],
  architecture: 'amd64',
  entrypoint: ['program'],
  user: '65532:65532',
} as const;
const write = async (name: string) => {
  const path = join(folder, name);
  await writeImage(path, await sample(), { ...config, entrypoint: [...config.entrypoint] });
  return path;
};

test('an image archive names its image, its config and a layer whose digest fits', async () => {
  const files = await unpack(createReadStream(await write('one.tar')));
  const [manifest] = JSON.parse(files.find(({ header }) => header.name === 'manifest.json')!.bytes.toString());
  expect(manifest.RepoTags).toEqual(['registry.example/thing:v1']);
  const image = JSON.parse(files.find(({ header }) => header.name === manifest.Config)!.bytes.toString());
  expect(image).toMatchObject({
    architecture: 'amd64',
    os: 'linux',
    config: { Entrypoint: ['program'], User: '65532:65532' },
  });
  const layer = files.find(({ header }) => header.name === manifest.Layers[0])!.bytes;
  expect(image.rootfs.diff_ids).toEqual([`sha256:${createHash('sha256').update(layer).digest('hex')}`]);
  expect((await readdir(folder)).filter((name) => name.endsWith('.layer'))).toEqual([]);
});

test('a layer has parents before children, root as owner, and is readable for all', async () => {
  const files = await unpack(createReadStream(await write('two.tar')));
  const layer = await unpack(Readable.from([files.find(({ header }) => header.name.endsWith('/layer.tar'))!.bytes]));
  const names = layer.map(({ header }) => header.name.replace(/\/$/, ''));
  for (const name of names)
    if (name.includes('/'))
      expect(names.indexOf(name.slice(0, name.lastIndexOf('/')))).toBeLessThan(names.indexOf(name));
  const by = (name: string) => layer[names.indexOf(name)]!;
  for (const { header } of layer) expect([header.uid, header.gid, header.mtime.getTime()]).toEqual([0, 0, 0]);
  expect(by('tmp').header.mode).toBe(0o1777);
  expect(by('etc/passwd').header.mode).toBe(0o644);
  expect(by('bin/alias').header).toMatchObject({ type: 'symlink', linkname: '../usr/local/bin/program' });
  const program = by('usr/local/bin/program');
  expect(program.header.mode).toBe(0o755);
  expect(program.bytes.length).toBe(3_000_000);
  // struct vfs_cap_data, revision 2: effective flag, CAP_NET_BIND_SERVICE (bit 10) permitted, nothing inheritable.
  const capability = (program.header.pax as Record<string, string>)['SCHILY.xattr.security.capability']!;
  expect(Buffer.from(capability).toString('hex')).toBe('0100000200040000000000000000000000000000');
});

test('the same content gives the same bytes', async () => {
  const [first, second] = [await readFile(await write('three.tar')), await readFile(await write('four.tar'))];
  expect(first.equals(second)).toBe(true);
});

test('a program of the box brings its libraries and the dynamic linker', async () => {
  const libraries = await librariesOf(process.execPath);
  expect(libraries.some((path) => path.endsWith('/libc.so.6'))).toBe(true);
  expect(libraries.some((path) => /ld-linux[^/]*$/.test(path))).toBe(true);
  const rootfs = new Rootfs();
  await rootfs.program(process.execPath, '/usr/local/bin/node');
  for (const path of libraries) expect(rootfs.entries.has(path.slice(1))).toBe(true);
});

test('a file that vanishes fails the archive', async () => {
  const rootfs = await sample();
  await rm(join(folder, 'program'));
  await expect(
    writeImage(join(folder, 'five.tar'), rootfs, { references: ['a:b'], architecture: 'amd64' }),
  ).rejects.toThrow('ENOENT');
});
