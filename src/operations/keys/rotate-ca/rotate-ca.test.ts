import { expect, test } from 'vitest';
import { renderRotation } from '../../../commands/certs.ts';
import { parseSpec } from '../../../config/parse.ts';
import {
  type Authority,
  addNext,
  authorityStageOf,
  dropPrevious,
  endHold,
  switchSigner,
  trusted,
} from '../../../pki/authority.ts';
import { context as plane } from '../../../pki/certificates.fixture.ts';
import { ensureCertificates } from '../../../pki/certificates.ts';
import { certificatesIn, inspect, matches, signedBy } from '../../../pki/inspect.ts';
import { buildSecrets, readBundle } from '../../../plane/secrets.ts';
import { rotatable, statusOf } from './rotation-status.ts';

const context = { ...plane, egress: 'kubelet' as const };
const fresh = async () => (await ensureCertificates(undefined, context, { keyType: 'ec' })).bundle;
const name = ({ certificate }: Authority) => inspect(certificate).commonName;

test('an authority is followed by one of another name, which is trusted, signs, and is alone in the end', async () => {
  const first = (await fresh()).authorities['etcd-ca']!;
  expect(authorityStageOf(first)).toBe('one');

  const added = await addNext(first, 'ec');
  expect([authorityStageOf(added), name(added), certificatesIn(trusted(added)).length]).toEqual([
    'added',
    'etcd-ca team-a',
    2,
  ]);
  const switched = switchSigner(added, false);
  expect([authorityStageOf(switched), name(switched), switched.switched]).toEqual([
    'switched',
    'etcd-ca team-a 2',
    'pending',
  ]);
  expect(matches(switched.certificate, switched.key)).toBe(true);
  expect(switched.previous, 'the old key is gone').toEqual({ certificate: first.certificate });
  // Who read it once is not restarted for a change of the signer alone.
  expect(trusted(switched)).toBe(trusted(added));

  const alone = dropPrevious(switched);
  expect([authorityStageOf(alone), trusted(alone)]).toEqual(['one', switched.certificate]);
  expect(name(switchSigner(await addNext(alone, 'ec'), false))).toBe('etcd-ca team-a 3');
});

test('a name never gets longer than a certificate allows', async () => {
  const long = await ensureCertificates(undefined, { ...context, namespace: 'n'.repeat(63) }, { keyType: 'ec' });
  const next = switchSigner(await addNext(long.bundle.authorities['kubelet-serving-ca']!, 'ec'), false);
  expect(name(next)).toHaveLength(64);
  expect(name(next)).toMatch(/ 2$/);
});

test('what the API server shows to workers is of the old one until they were told', async () => {
  const bundle = await fresh();
  const before = bundle.authorities.ca!;
  const ensured = async (ca: Authority) =>
    (await ensureCertificates({ ...bundle, authorities: { ...bundle.authorities, ca } }, context, { keyType: 'ec' }))
      .bundle.leaves;
  const held = switchSigner(await addNext(before, 'ec'), true);
  expect(authorityStageOf(held)).toBe('held');
  const first = await ensured(held);
  const signer = (leaf: string, leaves: typeof first) =>
    signedBy(leaves[leaf]!.certificate, before.certificate)
      ? 'old'
      : signedBy(leaves[leaf]!.certificate, held.certificate)
        ? 'new'
        : 'none';
  expect(['apiserver', 'apiserver-kubelet-client', 'admin', 'scheduler'].map((leaf) => signer(leaf, first))).toEqual([
    'old',
    'old',
    'new',
    'new',
  ]);
  const second = await ensured(endHold(held));
  expect(['apiserver', 'apiserver-kubelet-client', 'admin'].map((leaf) => signer(leaf, second))).toEqual([
    'new',
    'new',
    'new',
  ]);
});

test.each(['added', 'held', 'switched'] as const)('stage %s outlives the Secrets of a plane', async (stage) => {
  const bundle = await fresh();
  const added = await addNext(bundle.authorities['front-proxy-ca']!, 'ec');
  const authority = stage === 'added' ? added : switchSigner(added, stage === 'held');
  bundle.authorities['front-proxy-ca'] = authority;
  const secrets = buildSecrets(bundle, {
    planeId: 'plane-0123456789',
    spec: parseSpec({ host: 'k.example.com' }, 'test'),
    internalServer: 'https://10.96.0.5',
    publicServer: 'https://k.example.com',
  });
  expect(readBundle(secrets)!.authorities['front-proxy-ca']).toEqual(authority);
  const mounted = Buffer.from(
    secrets.find(({ metadata }) => metadata.name === 'kube-apiserver')!.data!['front-proxy-ca.crt']!,
    'base64',
  ).toString();
  expect(mounted).toBe(trusted(authority));
});

test('status tells what is next, and that a last step was interrupted', async () => {
  const bundle = await fresh();
  const record = { planeId: 'p', toolVersion: '0', spec: { host: 'h' }, issuers: [], phase: 'available' as const };
  expect(statusOf({ bundle, record }).map(({ name, next }) => [name, next])).toEqual(
    rotatable.map((each) => [each, undefined]),
  );
  bundle.authorities['etcd-ca'] = await addNext(bundle.authorities['etcd-ca']!, 'ec');
  expect(renderRotation(statusOf({ bundle, record }))).toMatch(
    /^etcd-ca +etcd-ca team-a +etcd-ca team-a, etcd-ca team-a 2 +the new one signs/m,
  );
  for (const drops of ['components', 'workers'] as const) {
    const unfinished = { 'rotate-ca': { drops: [drops] } };
    const ending = statusOf({ bundle, record: { ...record, unfinished } });
    expect(ending.find((each) => each.name === 'front-proxy-ca')?.next).toBe('the end of its replacement');
  }
});
