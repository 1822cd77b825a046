import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { makePrivateFolder } from './private-folder.ts';

const made: string[] = [];
afterEach(() => {
  vi.unstubAllEnvs();
  for (const each of made.splice(0)) rmSync(each, { recursive: true });
});

test.each([
  ['that is not there', path.join(tmpdir(), 'not-there')],
  ['that is no folder', '/dev/null'],
  ['of which nothing is said', ''],
])('a place in memory %s is done without', (_, place) => {
  vi.stubEnv('XDG_RUNTIME_DIR', place);
  const folder = makePrivateFolder('a-test-');
  made.push(folder);
  expect(path.dirname(folder)).toBe(tmpdir());
  expect(statSync(folder).mode & 0o077).toBe(0);
});

test('a place in memory that is there is taken', () => {
  const place = mkdtempSync(path.join(tmpdir(), 'runtime-'));
  made.push(place);
  vi.stubEnv('XDG_RUNTIME_DIR', place);
  expect(path.dirname(makePrivateFolder('a-test-'))).toBe(place);
});
