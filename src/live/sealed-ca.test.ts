import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { generateIdentity } from 'age-encryption';
import { afterAll, expect, test } from 'vitest';
import { refused } from '../../test/refused.ts';
import { parseSpec } from '../config/parse.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { context } from '../pki/certificates.fixture.ts';
import { ensureCertificates } from '../pki/certificates.ts';
import { buildSecrets } from '../plane/secrets.ts';
import { readOpened, readSealFile, sealingOf } from './sealed-ca.ts';

const dir = mkdtempSync(path.join(tmpdir(), 'k8sk8s-seal-'));
afterAll(() => rmSync(dir, { recursive: true }));
const file = (name: string, text: string) => {
  writeFileSync(path.join(dir, name), text);
  return path.join(dir, name);
};
const given = (name?: string) => ({ sealKey: name === undefined ? undefined : readSealFile(name) }) as InfraCluster;

test.each(['passphrase-file', 'key-file'] as const)(
  '%s: what it sealed it opens, and nothing else does',
  async (seal) => {
    const texts = seal === 'key-file' ? [await generateIdentity(), await generateIdentity()] : ['good\n', 'bad\n'];
    const [right, wrong] = [file('right', `${texts[0]}`), file('wrong', `${texts[1]}`)];
    const spec = parseSpec({ host: 'k.example.com', seal }, 'the test');
    const { bundle } = await ensureCertificates(undefined, context, {
      keyType: 'ec',
      sealing: sealingOf(spec, given(right)),
    });
    const secrets = buildSecrets(bundle, {
      planeId: 'p',
      spec,
      internalServer: 'https://a',
      publicServer: 'https://b',
    });
    expect((await readOpened(given(right), secrets))!.authorities.ca!.key).toBe(bundle.authorities.ca!.key);
    expect((await readOpened(given(), secrets))!.authorities.ca!.key).toBe('');
    await expect(readOpened(given(wrong), secrets)).rejects.toEqual(refused('seal-file', '--seal-file'));
    expect(bundle.authorities.ca!.sealed!.text).toMatch(/^-----BEGIN AGE ENCRYPTED FILE-----/);
    expect(() => sealingOf({ seal: seal === 'key-file' ? 'passphrase-file' : 'key-file' }, given(right))).toThrow(
      refused('seal-file', '--seal-file', seal),
    );
  },
  // scrypt is meant to be slow, and takes over 20 s when every core of the machine is busy.
  120_000,
);

test('a file that is not there or says nothing is told by its option', () => {
  expect(() => readSealFile(path.join(dir, 'none'))).toThrow(refused('file-not-readable', '--seal-file'));
  expect(() => readSealFile(file('empty', '\n'))).toThrow(refused('seal-file', 'empty', '--seal-file'));
});
