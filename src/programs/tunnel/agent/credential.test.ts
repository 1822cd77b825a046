import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { readCredential } from './credential.ts';

test('an agent whose kubelet joins anew is started again, and sees the new folder then', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'pki-'));
  const file = path.join(folder, 'kubelet-client-current.pem');
  const startAgain = (why: string): never => {
    throw new Error(`starts again: ${why}`);
  };
  writeFileSync(file, 'PEM');
  expect(readCredential(file, startAgain)).toBe('PEM');
  rmSync(folder, { recursive: true });
  expect(() => readCredential(file, startAgain)).toThrow(/^starts again: .*current\.pem/);
  expect(() => readCredential(tmpdir(), startAgain)).toThrow('EISDIR');
});
