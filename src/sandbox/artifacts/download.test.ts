import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { createServer as createHttpServer, type Server } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { artifactMode, downloadBinary, publishedSum, unreachable } from './download.ts';
import { releaseOf } from './releases.ts';

const program = Buffer.from('#!/bin/sh\necho hello\n');
const sumOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

let folder: string;
let server: Server;
let origin: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'k8sk8s-download-'));
  const tar = pack();
  tar.entry({ name: 'etcd-v1/README' }, 'words');
  tar.entry({ name: 'etcd-v1/etcd', mode: 0o644 }, program);
  tar.finalize();
  const archive = gzipSync(await buffer(tar as unknown as NodeJS.ReadableStream));
  const files: Record<string, Buffer | string> = {
    '/kubelet': program,
    '/kubelet.sha256': sumOf(program),
    '/altered': program,
    '/altered.sha256': sumOf(Buffer.from('what was published')),
    '/etcd.tar.gz': archive,
    '/SHA256SUMS': `${'0'.repeat(64)}  other.tar.gz\n${sumOf(archive)}  etcd.tar.gz\n`,
  };
  server = createHttpServer((request, response) => {
    const file = files[request.url ?? ''];
    response.writeHead(file === undefined ? 404 : 200).end(file);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true, force: true });
});

const ignore = () => undefined;

test('a program is kept, executable, once its published checksum fits', async () => {
  const target = join(folder, 'a', 'kubelet');
  const seen: number[] = [];
  await downloadBinary({ url: `${origin}/kubelet`, checksumUrl: `${origin}/kubelet.sha256` }, target, (bytes) =>
    seen.push(bytes),
  );
  expect(await readFile(target)).toEqual(program);
  expect((await stat(target)).mode & 0o777).toBe(0o755);
  expect(seen.at(-1)).toBe(program.length);
});

test('a program is taken out of its archive', async () => {
  const target = join(folder, 'b', 'etcd');
  await downloadBinary(
    { url: `${origin}/etcd.tar.gz`, checksumUrl: `${origin}/SHA256SUMS`, member: 'etcd-v1/etcd' },
    target,
    ignore,
  );
  expect(await readFile(target)).toEqual(program);
  expect(await readdir(join(folder, 'b'))).toEqual(['etcd']);
});

test('nothing is kept of a file that is not what was published', async () => {
  const release = { url: `${origin}/altered`, checksumUrl: `${origin}/altered.sha256` };
  await expect(downloadBinary(release, join(folder, 'c', 'altered'), ignore)).rejects.toMatchObject({
    anchor: 'checksum-mismatch',
  });
  expect(await readdir(join(folder, 'c'))).toEqual([]);
});

test('a release without a checksum is not downloaded', async () => {
  const release = { url: `${origin}/etcd.tar.gz`, checksumUrl: `${origin}/etcd.tar.gz.sha256` };
  await expect(downloadBinary(release, join(folder, 'd', 'etcd'), ignore)).rejects.toMatchObject({
    anchor: 'download-failed',
    why: expect.stringContaining('404'),
  });
});

test('checksum files come in three forms', () => {
  const sum = 'a'.repeat(64);
  expect(publishedSum(`${sum}\n`, 'kubelet')).toBe(sum);
  expect(publishedSum(`${'b'.repeat(64)}  x.tgz\n${sum}  coredns.tgz\n`, 'coredns.tgz')).toBe(sum);
  expect(publishedSum(`${sum} *release/coredns.tgz\n`, 'coredns.tgz')).toBe(sum);
  expect(publishedSum(`${sum}  other.tgz\n`, 'coredns.tgz')).toBeUndefined();
  expect(publishedSum('<html>not found</html>', 'coredns.tgz')).toBeUndefined();
});

test('Kubernetes comes from its own release server and is checked against it', () => {
  expect(releaseOf('kubelet', '1.37.2')).toEqual({
    url: expect.stringMatching(/^https:\/\/dl\.k8s\.io\/release\/v1\.37\.2\/bin\/linux\/(amd64|arm64)\/kubelet$/),
    checksumUrl: expect.stringMatching(/\/kubelet\.sha256$/),
  });
  expect(releaseOf('pause', '3.10')).toBeUndefined();
});

test('an answering server is reachable, whatever it answers', async () => {
  expect(await unreachable(origin, 2000)).toBeUndefined();
});

test('a refused connection is noticed at once', async () => {
  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
  const { port } = closed.address() as AddressInfo;
  await new Promise((resolve) => closed.close(resolve));
  expect(await unreachable(`https://127.0.0.1:${port}`, 2000)).toContain('ECONNREFUSED');
});

test('a server that takes connections and says nothing is given up within the limit', async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => sockets.push(socket));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const origin = `https://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const first = await Promise.race([
    unreachable(origin, 400).then((why) => ({ limit: 400, why })),
    unreachable(origin, 60_000).then((why) => ({ limit: 60_000, why })),
  ]);
  expect(first).toEqual({ limit: 400, why: expect.stringContaining('127.0.0.1') });
  for (const socket of sockets) socket.destroy();
  silent.close();
});

test('K8SK8S_ARTIFACTS takes three words', () => {
  expect(artifactMode({})).toBe('auto');
  expect(artifactMode({ K8SK8S_ARTIFACTS: 'build' })).toBe('build');
  expect(() => artifactMode({ K8SK8S_ARTIFACTS: 'never' })).toThrow(
    expect.objectContaining({ anchor: 'artifacts-mode' }),
  );
});
