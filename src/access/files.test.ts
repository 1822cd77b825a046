import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { refused } from '../../test/refused.ts';
import { parseSpec } from '../config/parse.ts';
import type { Addresses } from '../plane/addresses.ts';
import { checkFiles, filePaths, purgeFiles } from './files.ts';
import { workerScript } from './worker-script.ts';

// worker.sh has no CA in it by which its plane could be told.

const openssl = [
  'req',
  '-x509',
  '-newkey',
  'ec',
  '-pkeyopt',
  'ec_paramgen_curve:prime256v1',
  '-nodes',
  '-keyout',
  '/dev/null',
];
const authority = execFileSync('openssl', [...openssl, '-subj', '/CN=ca'], {
  stdio: ['ignore', 'pipe', 'ignore'],
}).toString();
const addresses = { workerServer: 'https://k.example.com:443' } as Addresses;
const script = workerScript(parseSpec({ host: 'k.example.com' }, 'here'), addresses);

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'files-'));
  writeFileSync(filePaths(dir).certificateAuthority, authority);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('a worker.sh of k8sk8s is written over, and somebody’s own only by force', () => {
  writeFileSync(filePaths(dir).workerScript, script);
  checkFiles({ dir, force: false }, authority);
  writeFileSync(filePaths(dir).workerScript, '#!/bin/sh\necho mine\n');
  expect(() => checkFiles({ dir, force: false }, authority)).toThrow(refused('file-of-another-cluster', 'worker.sh'));
  checkFiles({ dir, force: true }, authority);
});

test('worker.sh goes with the files of its plane', () => {
  writeFileSync(filePaths(dir).workerScript, script);
  expect(purgeFiles(dir, undefined).removed).toEqual([]);
  expect(purgeFiles(dir, authority).removed).toEqual([
    filePaths(dir).certificateAuthority,
    filePaths(dir).workerScript,
  ]);
  expect(existsSync(dir)).toBe(false);
});

test('somebody’s own worker.sh stays', () => {
  writeFileSync(filePaths(dir).workerScript, '#!/bin/sh\necho mine\n');
  expect(purgeFiles(dir, authority).removed).toEqual([filePaths(dir).certificateAuthority]);
  expect(existsSync(filePaths(dir).workerScript)).toBe(true);
});
