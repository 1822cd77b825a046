import { expect, test } from 'vitest';
import { renderKey } from '../../commands/certs.ts';
import { isKeyPair } from '../../pki/inspect.ts';
import { createKeyPair } from '../../pki/issue.ts';
import { addKey, dropOldKeys, keyId, keyStageOf, switchKey, tokenKeyId } from '../../pki/service-account.ts';
import { longestTokenLife } from './service-account-key.ts';

const hour = 3_600_000;
const count = (pem: string) => pem.match(/BEGIN/g)!.length;

test.each(['ec', 'rsa'] as const)(
  'a new key of type %s is made known, signs, and is alone in the end',
  async (keyType) => {
    const first = await createKeyPair(keyType);
    const fresh = await createKeyPair(keyType);
    expect(keyStageOf(first)).toBe('one');

    const added = addKey(first, fresh);
    expect([keyStageOf(added), count(added.publicKey)]).toEqual(['added', 2]);
    expect(isKeyPair(added.publicKey, added.privateKey), 'the old one signs').toBe(true);
    expect(added.privateKey).toBe(first.privateKey);

    const switched = switchKey(added);
    expect([keyStageOf(switched), count(switched.publicKey)]).toEqual(['switched', 2]);
    expect(isKeyPair(switched.publicKey, fresh.privateKey), 'the new one stands first').toBe(true);
    expect(switched.privateKey).toBe(fresh.privateKey);
    expect(switched.publicKey).toContain(first.publicKey);

    const alone = dropOldKeys(switched);
    expect([keyStageOf(alone), alone]).toEqual(['one', fresh]);
    expect(keyId(alone)).not.toBe(keyId(first));
  },
);

test('what a hand left beside a single key begins nothing', async () => {
  const key = await createKeyPair('ec');
  expect(keyStageOf({ ...key, switched: '2026-05-01T12:00:00Z' })).toBe('one');
});

test('the key of a token is read from its head', () => {
  const head = Buffer.from(JSON.stringify({ alg: 'ES256', kid: 'abc' })).toString('base64url');
  expect(tokenKeyId(`${head}.e30.x`)).toBe('abc');
  expect(tokenKeyId('no token')).toBeUndefined();
});

test.each([
  [[], 24 * hour],
  [['service-account-max-token-expiration=48h'], 48 * hour],
  [['--service-account-max-token-expiration=1h30m'], 1.5 * hour],
  [['service-account-max-token-expiration=0'], 366 * 24 * hour],
  [['service-account-extend-token-expiration=true'], 366 * 24 * hour],
])('with %j a token lives at most %i ms', (apiServerArgs, life) => {
  expect(longestTokenLife({ apiServerArgs })).toBe(life);
});

test('status says when the old key can go, and what stands in the way', () => {
  const text = renderKey({
    stage: 'switched',
    signer: 'abc',
    oldKeyNeededUntil: new Date('2026-05-02T12:00:00Z'),
    unfinished: true,
    endlessTokens: ['team/old'],
  });
  expect(text).toContain('after 2026-05-02T12:00:00.000Z');
  expect(text).toContain('team/old');
  expect(renderKey({ stage: 'switched', unfinished: true, signer: 'abc', endlessTokens: [] })).toContain('it goes on');
});
