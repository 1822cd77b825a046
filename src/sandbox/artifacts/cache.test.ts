import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { architecture, cacheSize, ensureCacheRoot, purgeCache, writeAtomically } from './cache.ts';
import { withCacheLock } from './cache-lock.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'k8sk8s-cache-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

test('processors that nothing is published for are refused by name', () => {
  expect(architecture('x64')).toBe('amd64');
  expect(() => architecture('s390x')).toThrow(/s390x/);
});

test('a file appears whole or not at all', async () => {
  const path = join(root, 'bin', 'x', 'program');
  await expect(
    writeAtomically(path, async (temporary) => {
      await writeFile(temporary, 'half');
      throw new Error('disk is full');
    }),
  ).rejects.toThrow('disk is full');
  expect(await readdir(join(root, 'bin', 'x'))).toEqual([]);

  await writeAtomically(path, async (temporary) => {
    await writeFile(temporary, 'whole');
    await expect(stat(path)).rejects.toThrow();
  });
  expect(await readFile(path, 'utf8')).toBe('whole');
});

test('what killed writers of the same file left is swept', async () => {
  await writeFile(join(root, '.program.tmp-1-abc'), 'half');
  await writeFile(join(root, '.other.tmp-1-abc'), 'half of something else');
  await writeAtomically(join(root, 'program'), (temporary) => writeFile(temporary, 'whole'));
  expect((await readdir(root)).sort()).toEqual(['.other.tmp-1-abc', 'program']);
});

test('purge frees what is ours and leaves what is not', async () => {
  await ensureCacheRoot(root);
  await mkdir(join(root, 'bin/etcd/3.7.3/amd64'), { recursive: true });
  await writeFile(join(root, 'bin/etcd/3.7.3/amd64/etcd'), 'x'.repeat(1000));
  await writeFile(join(root, 'thesis.txt'), 'not ours');
  expect(await cacheSize(root)).toBe(1000);
  expect(await purgeCache(root)).toBe(1000);
  expect(await readdir(root)).toEqual(['thesis.txt']);
  expect(await cacheSize(root)).toBe(0);
});

test('purge refuses while somebody is at work in the cache', async () => {
  await withCacheLock(
    join(root, 'locks'),
    'etcd-3.7.3',
    () => undefined,
    () =>
      expect(purgeCache(root)).rejects.toMatchObject({
        anchor: 'cache-busy',
        why: expect.stringContaining('etcd-3.7.3'),
      }),
  );
  expect(await purgeCache(root)).toBe(0);
  await expect(stat(root)).rejects.toThrow();
});
