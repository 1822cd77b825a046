import { expect, test } from 'vitest';
import { renderExposed } from '../../commands/certs.ts';
import { addNext, dropPrevious, switchSigner } from '../../pki/authority.ts';
import { context } from '../../pki/certificates.fixture.ts';
import { ensureCertificates } from '../../pki/certificates.ts';
import { nextProviders } from '../../pki/encryption.ts';
import { createKeyPair } from '../../pki/issue.ts';
import { addKey, dropOldKeys, switchKey } from '../../pki/service-account.ts';
import type { PlaneRecord } from '../../plane/record.ts';
import { exposedNow, statusOf } from './rotate-all.ts';

const since = '2026-05-01T12:00:00.000Z';

async function plane() {
  const { bundle } = await ensureCertificates(undefined, context, { keyType: 'ec' });
  const record: PlaneRecord = {
    planeId: 'plane-1',
    toolVersion: '1',
    spec: { host: 'k.example.com' },
    issuers: [],
    phase: 'available',
    exposed: exposedNow({ bundle }, since),
  };
  return { bundle, record };
}

const states = (subject: Parameters<typeof statusOf>[0]) =>
  Object.fromEntries(statusOf(subject).parts.map(({ name, state }) => [name, state]));

test('what is exposed is told apart from what has come to replace it, in every stage', async () => {
  const subject = await plane();
  const { bundle } = subject;
  expect(new Set(Object.values(states(subject)))).toEqual(new Set(['exposed']));
  expect(Object.keys(states(subject))).toHaveLength(8);

  bundle.authorities.ca = await addNext(bundle.authorities.ca!, 'ec');
  bundle.serviceAccount = addKey(bundle.serviceAccount, await createKeyPair('ec'));
  bundle.encryption = nextProviders(bundle.encryption!);
  expect(states(subject)).toMatchObject({
    ca: 'exposed',
    'service-account-key': 'exposed',
    'encryption-key': 'exposed',
  });

  bundle.authorities.ca = switchSigner(bundle.authorities.ca, true);
  bundle.serviceAccount = switchKey(bundle.serviceAccount);
  bundle.encryption = nextProviders(bundle.encryption);
  const between = { ca: 'between', 'service-account-key': 'between', 'encryption-key': 'between' };
  expect(states(subject)).toMatchObject({ ...between, 'etcd-ca': 'exposed' });

  bundle.authorities.ca = dropPrevious(bundle.authorities.ca);
  bundle.serviceAccount = dropOldKeys(bundle.serviceAccount);
  bundle.encryption = nextProviders(bundle.encryption);
  const replaced = { ca: 'replaced', 'service-account-key': 'replaced', 'encryption-key': 'replaced' };
  expect(states(subject)).toMatchObject({ ...replaced, 'etcd-ca': 'exposed', 'bootstrap-tokens': 'exposed' });
});

test('a new key that lay beside the old one was exposed too, and is replaced after it', async () => {
  const { bundle, record } = await plane();
  bundle.authorities['etcd-ca'] = await addNext(bundle.authorities['etcd-ca']!, 'ec');
  bundle.serviceAccount = addKey(bundle.serviceAccount, await createKeyPair('ec'));
  const exposed = exposedNow({ bundle }, since);
  bundle.authorities['etcd-ca'] = dropPrevious(switchSigner(bundle.authorities['etcd-ca'], false));
  bundle.serviceAccount = dropOldKeys(switchKey(bundle.serviceAccount));
  expect(states({ bundle, record: { ...record, exposed } })).toMatchObject({
    'etcd-ca': 'exposed',
    'service-account-key': 'exposed',
  });
});

test('a change that was killed at its last step has not come to its end', async () => {
  const { bundle, record } = await plane();
  bundle.encryption = nextProviders(nextProviders(nextProviders(bundle.encryption!)));
  expect(states({ bundle, record: { ...record, unfinished: { 'encrypt-rotate': {} } } })['encryption-key']).toBe(
    'between',
  );
  expect(states({ bundle, record })['encryption-key']).toBe('replaced');
});

test('in the end it says what no command can end', async () => {
  const { record, bundle } = await plane();
  expect(renderExposed(statusOf({ bundle, record }), false)).toMatch(/^etcd-ca +is used still$/m);
  expect(renderExposed({ parts: [] }, false)).toContain('backups from before can be read with the old keys');
  expect(renderExposed({ parts: [] }, true)).toBe('Nothing that was exposed is being replaced.');
});
