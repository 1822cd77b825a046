import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { refused } from '../../test/refused.ts';
import { UserError } from '../base/errors.ts';
import { fingerprint } from '../pki/inspect.ts';
import { type Credential, createAuthority } from '../pki/issue.ts';
import { explained } from '../ui/words.ts';
import { buildKubeconfig } from './build.ts';
import { readKubeconfig } from './read.ts';
import { belongsToAuthority, mergeIntoFile, refuseForeignFile, writeFileAtomically } from './write.ts';

let authority: Credential;
let other: Credential;
beforeAll(async () => {
  [authority, other] = await Promise.all([createAuthority('the plane'), createAuthority('another plane')]);
});

let dir: string;
let file: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'k8sk8s-files-'));
  file = path.join(dir, 'kubeconfig');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const kubeconfig = (by: Credential, server: string, name = 'plane') =>
  buildKubeconfig({
    server,
    certificateAuthority: by.certificate,
    clusterName: name,
    userName: `${name}-admin`,
    client: { token: 'a-secret-token' },
  });
const modeOf = (name: string) => (statSync(name).mode & 0o7777).toString(8);
const failure = (promise: Promise<unknown>): Promise<UserError> =>
  promise.then(
    () => expect.fail('it succeeded'),
    (error) => error,
  );

describe('writeFileAtomically', () => {
  it('creates, updates, and leaves alone', async () => {
    expect(await writeFileAtomically(file, 'one')).toBe('created');
    const { ino } = statSync(file);
    expect(await writeFileAtomically(file, 'one')).toBe('unchanged');
    expect(statSync(file).ino).toBe(ino);
    expect(await writeFileAtomically(file, 'two')).toBe('updated');
    expect(readFileSync(file, 'utf8')).toBe('two');
    expect(readdirSync(dir)).toEqual(['kubeconfig']);
  });

  it('is for the owner only, whatever the umask and whatever was there', async () => {
    const umask = process.umask(0);
    try {
      await writeFileAtomically(path.join(dir, 'tls', 'deep', 'kubeconfig'), 'one');
    } finally {
      process.umask(umask);
    }
    expect(modeOf(path.join(dir, 'tls', 'deep', 'kubeconfig'))).toBe('600');
    expect(modeOf(path.join(dir, 'tls'))).toBe('700');
    writeFileSync(file, 'one');
    chmodSync(file, 0o644);
    expect(await writeFileAtomically(file, 'one')).toBe('updated');
    expect(modeOf(file)).toBe('600');
    await writeFileAtomically(file, 'one', 0o640);
    expect(modeOf(file)).toBe('640');
  });

  it('keeps a mode when asked', async () => {
    writeFileSync(file, 'one');
    chmodSync(file, 0o640);
    expect(await writeFileAtomically(file, 'two', 0o600, { keepMode: true })).toBe('updated');
    expect(modeOf(file)).toBe('640');
  });

  it('writes through a symbolic link, also through one whose file is missing', async () => {
    const link = path.join(dir, 'link');
    writeFileSync(file, 'one');
    symlinkSync(file, link);
    await writeFileAtomically(link, 'two');
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readFileSync(file, 'utf8')).toBe('two');
    mkdirSync(path.join(dir, 'folder'));
    symlinkSync(path.join('..', 'second'), path.join(dir, 'folder', 'link'));
    symlinkSync(path.join('folder', 'link'), path.join(dir, 'dangling'));
    expect(await writeFileAtomically(path.join(dir, 'dangling'), 'three')).toBe('created');
    expect(readFileSync(path.join(dir, 'second'), 'utf8')).toBe('three');
    symlinkSync('loop', path.join(dir, 'loop'));
    expect(await failure(writeFileAtomically(path.join(dir, 'loop'), 'four'))).toMatchObject({
      anchor: 'file-not-writable',
    });
  });

  it('names the path when the path cannot be', async () => {
    writeFileSync(file, '');
    const below = path.join(file, 'tls', 'kubeconfig');
    const error = await failure(writeFileAtomically(below, 'a-secret'));
    expect(error).toBeInstanceOf(UserError);
    expect(error).toMatchObject({
      what: `cannot write ${below}`,
      why: 'a part of the path is a file, not a folder',
      anchor: 'file-not-writable',
    });
    expect(await failure(writeFileAtomically(dir, 'a-secret'))).toMatchObject({
      what: `cannot write ${dir}`,
      anchor: 'file-not-writable',
    });
    expect(await failure(writeFileAtomically('/dev/null', 'a-secret'))).toMatchObject({
      what: 'cannot write /dev/null',
    });
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  });

  it('leaves the old file and no other behind when it fails half-way', async () => {
    writeFileSync(file, 'one');
    // A mode that no file can have: writing works, setting the mode does not.
    await expect(writeFileAtomically(file, 'two', -1)).rejects.toThrow();
    expect(readFileSync(file, 'utf8')).toBe('one');
    expect(readdirSync(dir)).toEqual(['kubeconfig']);
  });

  it('leaves the old file alone when there is no place for a temporary one', async () => {
    // A path of this length still fits, its temporary neighbour does not.
    const long = path.join(dir, 'k'.repeat(250));
    writeFileSync(long, 'one');
    expect(await failure(writeFileAtomically(long, 'two'))).toMatchObject({ what: `cannot write ${long}` });
    expect(readFileSync(long, 'utf8')).toBe('one');
    expect(readdirSync(dir)).toHaveLength(1);
  });
});

describe('refuseForeignFile and belongsToAuthority', () => {
  const refusal = () => {
    try {
      refuseForeignFile(file, authority.certificate);
    } catch (error) {
      expect(error).toBeInstanceOf(UserError);
      return error as UserError;
    }
    return undefined;
  };

  it("knows a missing or empty file as nobody's", () => {
    expect(refusal()).toBeUndefined();
    expect(belongsToAuthority(file, authority.certificate)).toBe(false);
    writeFileSync(file, '\n');
    expect(refusal()).toBeUndefined();
    expect(belongsToAuthority(file, authority.certificate)).toBe(false);
  });

  it('knows files of this cluster, also at another address', () => {
    for (const text of [
      kubeconfig(authority, 'https://a'),
      kubeconfig(authority, 'https://b'),
      authority.certificate,
    ]) {
      writeFileSync(file, text);
      expect(refusal()).toBeUndefined();
      expect(belongsToAuthority(file, authority.certificate)).toBe(true);
    }
  });

  it('refuses a kubeconfig of another cluster and names both', () => {
    writeFileSync(file, kubeconfig(other, 'https://theirs:6443'));
    const error = refusal();
    const both = [other, authority].map(({ certificate }) => fingerprint(certificate).slice(0, 16));
    expect(error).toEqual(refused('file-of-another-cluster', file, 'https://theirs:6443', ...both));
    expect(error!.kind).toBe('refused');
    expect(explained(error!)).not.toContain('a-secret-token');
    expect(belongsToAuthority(file, authority.certificate)).toBe(false);
  });

  it('refuses a kubeconfig into which another cluster was merged', async () => {
    writeFileSync(file, kubeconfig(authority, 'https://ours'));
    await mergeIntoFile(file, kubeconfig(other, 'https://theirs', 'theirs'));
    expect(refusal()).toEqual(refused('file-of-another-cluster', 'https://theirs'));
    expect(belongsToAuthority(file, authority.certificate)).toBe(false);
  });

  it('refuses the certificate of another authority, and files of no cluster', () => {
    writeFileSync(file, other.certificate);
    expect(refusal()).toEqual(refused('file-of-another-cluster', file));
    for (const text of [
      'my diary\n',
      'a: [',
      '-----BEGIN CERTIFICATE-----\nnonsense\n',
      'apiVersion: v1\nkind: Config\n',
    ]) {
      writeFileSync(file, text);
      expect(refusal()).toEqual(refused('file-of-another-cluster', file));
      expect(belongsToAuthority(file, authority.certificate)).toBe(false);
    }
  });

  it('cannot read a folder', () => {
    mkdirSync(file);
    expect(refusal()).toMatchObject({ anchor: 'file-not-writable' });
  });
});

describe('mergeIntoFile', () => {
  it('makes the file, keeps its mode, and does nothing the second time', async () => {
    expect(await mergeIntoFile(file, kubeconfig(authority, 'https://ours'))).toBe('created');
    expect(modeOf(file)).toBe('600');
    chmodSync(file, 0o640);
    expect(await mergeIntoFile(file, kubeconfig(authority, 'https://ours'))).toBe('unchanged');
    expect(await mergeIntoFile(file, kubeconfig(other, 'https://theirs', 'theirs'), { setCurrentContext: true })).toBe(
      'updated',
    );
    expect(modeOf(file)).toBe('640');
    expect(readKubeconfig(readFileSync(file, 'utf8'), file)).toMatchObject({
      server: 'https://theirs',
      clusters: [{ name: 'plane' }, { name: 'theirs' }],
    });
  });

  it('leaves a file alone that it refuses', async () => {
    writeFileSync(file, kubeconfig(other, 'https://theirs'));
    expect(await failure(mergeIntoFile(file, kubeconfig(authority, 'https://ours')))).toMatchObject({
      anchor: 'file-of-another-cluster',
    });
    expect(readFileSync(file, 'utf8')).toBe(kubeconfig(other, 'https://theirs'));
  });
});
