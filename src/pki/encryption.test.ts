import { expect, test } from 'vitest';
import { refused } from '../../test/refused.ts';
import { encryptionConfiguration, readEncryption } from '../plane/components/kube-apiserver/encryption-config.ts';
import { type EncryptionProviders, firstEncryption, nextProviders, providerName, stageOf } from './encryption.ts';

const day = new Date('2026-05-01T12:00:00Z');
const names = (providers: EncryptionProviders) => providers.map(providerName);

test('a new plane encrypts from its first day and reads nothing else', () => {
  const providers = firstEncryption(day);
  expect(names(providers)).toEqual(['key1-20260501']);
  expect(stageOf(providers)).toBe('encrypted');
});

test.each<[string, EncryptionProviders, string]>([
  ['a key', firstEncryption(day), 'key1-20260501'],
  ['plain text', ['identity'], 'plain text'],
])('from %s to a new key: added, promoted, the old one dropped', (_, start, old) => {
  const added = nextProviders(start, day);
  const fresh = providerName(added[1]!);
  expect([stageOf(added), ...names(added)]).toEqual(['added', old, fresh]);
  const promoted = nextProviders(added, day);
  expect([stageOf(promoted), ...names(promoted)]).toEqual(['promoted', fresh, old]);
  const alone = nextProviders(promoted, day);
  expect([stageOf(alone), ...names(alone)]).toEqual(['encrypted', fresh]);
  expect(alone[0]).toBe(added[1]);
});

test('numbers of keys go on where the last one ended, past nine too', () => {
  let providers = firstEncryption(day);
  for (let step = 0; step < 3 * 10; step++) providers = nextProviders(providers, day);
  expect(names(providers)).toEqual(['key11-20260501']);
});

test.each([
  [firstEncryption(day)],
  [nextProviders(firstEncryption(day))],
  [['identity']],
  [nextProviders(['identity'])],
  [nextProviders(nextProviders(['identity']))],
] as EncryptionProviders[][])('what the API server is given is read back: %#', (providers) => {
  expect(readEncryption(encryptionConfiguration(providers))).toEqual(providers);
});

test('plain text is never what a plane with keys falls back to', () => {
  expect(readEncryption(undefined)).toBeUndefined();
  for (const text of [
    '',
    'resources: []',
    'not: [yaml',
    encryptionConfiguration([{ name: 'key1-x', secret: 'short' }]),
  ])
    expect(() => readEncryption(text), text).toThrow(refused('encryption-keys-broken'));
});
