import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { refused } from '../../test/refused.ts';
import { parseSpec } from '../config/parse.ts';
import { buildSecrets, readBundle } from '../plane/secrets.ts';
import { addNext, authorityStageOf, dropPrevious, switchSigner, trusted, trustedOfClients } from './authority.ts';
import { context } from './certificates.fixture.ts';
import { administrator, ensureCertificates, type PkiBundle } from './certificates.ts';
import { certificatesIn, inspect, matches, signedBy } from './inspect.ts';
import { issueLeaf } from './issue.ts';
import { type Sealing, withKeys } from './sealing.ts';

const now = new Date('2026-05-01T12:00:00Z');
const later = (days: number) => new Date(now.getTime() + days * 86_400_000);
/** Stands for an age file. */
const box = (text: string) => `sealed ${Buffer.from(text).toString('base64')}`;
const unbox = (text: string) => Buffer.from(text.replace('sealed ', ''), 'base64').toString();
const sealing: Sealing = { close: async (text) => box(text) };

async function ensured(existing: PkiBundle | undefined, seals: Sealing | undefined, at = now, changes = {}) {
  return (await ensureCertificates(existing, { ...context, ...changes }, { keyType: 'ec', now: at, sealing: seals }))
    .bundle;
}

const spec = parseSpec({ host: 'k.example.com', seal: 'key-file' }, 'the test');
const secretsOf = (bundle: PkiBundle) =>
  buildSecrets(bundle, { planeId: 'plane-1', spec, internalServer: 'https://a', publicServer: 'https://b' });
/** As another run finds it, without what opens it. */
const stored = (bundle: PkiBundle) => readBundle(secretsOf(bundle))!;
const opened = (bundle: PkiBundle): PkiBundle => {
  const ca = bundle.authorities.ca!;
  return { ...bundle, authorities: { ...bundle.authorities, ca: withKeys(ca, unbox(ca.sealed!.text)) } };
};

test('no Secret holds the key, and without it nothing changes', async () => {
  const first = await ensured(undefined, sealing);
  const key = first.authorities.ca!.key;
  const everything = JSON.stringify(secretsOf(first));
  expect(key).toContain('PRIVATE KEY');
  expect(everything).not.toContain(Buffer.from(key).toString('base64'));
  const closed = stored(first);
  expect(closed.authorities.ca!.key).toBe('');
  expect(secretsOf(await ensured(closed, {}))).toEqual(secretsOf(first));
  expect(secretsOf(await ensured(opened(closed), sealing))).toEqual(secretsOf(first));
});

test('what needs the key names the option; what can do without does', async () => {
  const closed = stored(await ensured(undefined, sealing));
  await expect(ensured(closed, {}, now, { host: 'new.example.com' })).rejects.toEqual(
    refused('seal-file', '--seal-file'),
  );
  await expect(ensured(closed, undefined)).rejects.toEqual(refused('seal-file', '--seal-file'));
  await expect(ensured(undefined, {})).rejects.toEqual(refused('seal-file', '--seal-file'));
  expect(await administrator(closed, { now })).toEqual(closed.leaves.admin);
  await expect(administrator(closed, { now: later(400) })).rejects.toEqual(refused('seal-file', '--seal-file'));
  // A leaf near its end goes on until that end.
  expect((await ensured(opened(closed), sealing, later(340))).leaves.scheduler).not.toEqual(closed.leaves.scheduler);
});

test('the one that signs in its place makes clients, and nothing that workers or kubectl believe', async () => {
  const { authorities } = await ensured(undefined, sealing);
  const ca = authorities.ca!;
  const leaf = await issueLeaf(ca.signer!, { commonName: 'x', usages: ['clientAuth', 'serverAuth'] }, { now });
  const dir = mkdtempSync(path.join(tmpdir(), 'k8sk8s-seal-'));
  const verify = (trust: string, purpose: string, chain?: string) => {
    writeFileSync(path.join(dir, 'trust.pem'), trust);
    writeFileSync(path.join(dir, 'leaf.pem'), leaf.certificate);
    if (chain) writeFileSync(path.join(dir, 'chain.pem'), chain);
    const args = ['verify', '-attime', String(now.getTime() / 1000), '-purpose', purpose, '-CAfile', 'trust.pem'];
    try {
      return execFileSync(
        'openssl',
        [...args, '-partial_chain', ...(chain ? ['-untrusted', 'chain.pem'] : []), 'leaf.pem'],
        { cwd: dir, stdio: 'pipe' },
      ).toString();
    } catch (error) {
      return (error as { stderr: Buffer }).stderr.toString();
    }
  };
  try {
    expect(verify(trustedOfClients(ca), 'sslclient')).toContain('OK');
    expect(verify(trusted(ca), 'sslclient')).toContain('unable to get local issuer');
    // Not even with the chain: the CA says that nothing which it signs signs further.
    expect(verify(trusted(ca), 'sslclient', ca.signer!.certificate)).toContain('path length constraint exceeded');
    expect(verify(trusted(ca), 'sslserver', ca.signer!.certificate)).not.toContain('OK');
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('from half its life on it is replaced with the key, and what it signed is accepted until its end', async () => {
  const first = await ensured(undefined, sealing);
  const { signer } = first.authorities.ca!;
  expect(inspect(signer!.certificate).notAfter).toEqual(later(90));
  expect((await ensured(opened(stored(first)), sealing, later(44))).authorities.ca!.signer).toEqual(signer);
  expect((await ensured(stored(first), {}, later(89))).authorities.ca!.signer).toEqual(signer);
  await expect(ensured(stored(first), {}, later(91))).rejects.toEqual(refused('seal-file', '--seal-file'));
  const second = await ensured(opened(stored(first)), sealing, later(46));
  expect(second.authorities.ca!.signer).not.toEqual(signer);
  expect(certificatesIn(trustedOfClients(second.authorities.ca!))).toHaveLength(3);
  expect(second.authorities.ca!.formerSigners).toBe(signer!.certificate);
  const third = await ensured(opened(stored(second)), sealing, later(92));
  expect(third.authorities.ca!.formerSigners).toBe(second.authorities.ca!.signer!.certificate);
});

test('sealing and unsealing leave the CA, and whom it let in, as they are', async () => {
  const plain = await ensured(undefined, undefined);
  const sealed = await ensured(plain, sealing);
  expect(sealed.leaves).toEqual(plain.leaves);
  expect(trusted(sealed.authorities.ca!)).toBe(trusted(plain.authorities.ca!));
  const again = await ensured(opened(stored(sealed)), undefined);
  expect(again.authorities.ca).toMatchObject(plain.authorities.ca!);
  expect(again.authorities.ca).toMatchObject({ formerSigners: sealed.authorities.ca!.signer!.certificate });
  expect(again.authorities.ca!.signer).toBeUndefined();
  expect(again.leaves).toEqual(plain.leaves);
});

test('a change of the CA goes through all its stages with the keys sealed', async () => {
  let bundle = await ensured(undefined, sealing);
  const before = bundle.authorities.ca!;
  const step = async (change: (ca: typeof before) => typeof before | Promise<typeof before>) => {
    const now = opened(stored(bundle));
    bundle = await ensured(
      { ...now, authorities: { ...now.authorities, ca: await change(now.authorities.ca!) } },
      sealing,
    );
    return stored(bundle).authorities.ca!;
  };
  expect(authorityStageOf(await step((ca) => addNext(ca, 'ec', now)))).toBe('added');
  const held = await step((ca) => switchSigner(ca, true));
  expect(authorityStageOf(held)).toBe('held');
  expect(signedBy(held.signer!.certificate, held.certificate)).toBe(true);
  expect(held.formerSigners, 'workers go on').toBe(before.signer!.certificate);
  expect(signedBy(bundle.leaves.apiserver!.certificate, before.certificate)).toBe(true);
  const alone = await step(dropPrevious);
  expect(alone.signer, 'whom it let in stays').toEqual(held.signer);
  expect(alone.formerSigners).toBeUndefined();
  expect(matches(alone.certificate, unbox(alone.sealed!.text)), 'its key alone is in the age file').toBe(true);
});
