import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { parseSpec } from '../config/parse.ts';
import { allImages } from './all-images.ts';
import { copiesInto, copyScript } from './copy-images.ts';

const registry = 'registry.corp.example/k8s';
const own = { workerPods: 1, workerImage: 'registry.corp.example/worker', etcdImage: 'registry.corp.example/etcd:1' };
const specOf = (more: object) => parseSpec({ host: 'k.example.com', ...own, ...more }, 'in the test');

test('what is copied is what a plane from that registry pulls, but for images that were named by themselves', () => {
  const pulled = new Set(allImages(specOf({ imageRegistry: registry })).map(({ image }) => image));
  const given = [...pulled].filter((image) => /(worker|etcd):/.test(image));
  expect(given).toHaveLength(2);
  const copied = copiesInto(registry, specOf({ imageRegistry: 'other.example.com' })).map(({ to }) => to);
  expect(copied.sort()).toEqual([...pulled].filter((image) => !given.includes(image)).sort());
});

test('the script copies each by the program that is there, and says when there is none', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'copies-'));
  const script = copyScript([{ from: 'a.example/x:1', to: 'b.example/x:1' }]);
  const run = () => spawnSync('/bin/sh', ['-c', script], { encoding: 'utf8', env: { PATH: folder } });
  expect(run().status).toBe(1);
  writeFileSync(path.join(folder, 'crane'), '#!/bin/sh\necho "$@"\n');
  chmodSync(path.join(folder, 'crane'), 0o755);
  expect(run().stdout).toBe('copy a.example/x:1 b.example/x:1\n');
  rmSync(folder, { recursive: true });
});
