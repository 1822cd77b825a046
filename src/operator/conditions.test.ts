import { expect, test } from 'vitest';
import type { Anchor } from '../base/anchors.ts';
import { UserError } from '../base/errors.ts';
import { command, option, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import { ApiError } from '../kube/errors.ts';
import { keyNeeded } from '../pki/authority.ts';
import { nearTheirEnd } from '../pki/near-end.ts';
import {
  besides,
  factOfEnding,
  factsOfFailure,
  factsOfSuccess,
  factsOfUndone,
  isUndone,
  reasonOf,
  statusWith,
} from './conditions.ts';
import { consentAnnotation } from './names.ts';
import { consentAsked, consents, type HostedControlPlane, specOf } from './object.ts';

const object: HostedControlPlane = {
  apiVersion: 'k8sk8s.io/v1alpha1',
  kind: 'HostedControlPlane',
  metadata: { name: 'k8sk8s', namespace: 'team', generation: 3 },
  spec: { host: 'k.example.com', asleep: true, replicas: 2 },
};

test('a reason is the anchor, and the message names fields and what the operator does itself', () => {
  const error = new UserError({
    what: words`${field('etcdMembers', 3)} loses data`,
    fix: words`${command('wake', 'team')} or ${option('yes')}`,
    anchor: 'data-loss',
    kind: 'refused',
  });
  const facts = factsOfFailure(error, object, true);
  expect(facts.map(({ type, status, reason }) => [type, status, reason])).toEqual([
    ['Available', 'True', 'Answers'],
    // What waits for a consent is no fault of the plane.
    ['Degraded', 'False', 'AsExpected'],
    ['Progressing', 'False', 'DataLoss'],
  ]);
  const { message } = facts[2]!;
  expect(message).toContain('spec.etcdMembers: 3');
  expect(message).toContain('spec.asleep: false');
  expect(message).toContain('k8sk8s.io/consent: "3"');
  expect(message).toContain('#data-loss');
  expect(reasonOf('infra-api-error')).toBe('InfraApiError');
});

test('a plane that does not answer is Degraded also while a change waits for a consent', () => {
  const error = new UserError({ what: 'w', fix: words`add ${option('yes')}`, anchor: 'data-loss', kind: 'refused' });
  const facts = factsOfFailure(error, object, false);
  expect(facts.map(({ type, status, reason }) => [type, status, reason])).toEqual([
    ['Available', 'False', 'NotAvailable'],
    ['Degraded', 'True', 'NotAvailable'],
    ['Progressing', 'False', 'DataLoss'],
  ]);
});

test('a refusal that no consent helps is Degraded, and so is a change that was taken back, which is not tried again', () => {
  const of = (anchor: Anchor, kind: 'refused' | 'failed') =>
    factsOfFailure(new UserError({ what: 'w', anchor, kind }), object, true).map(({ status }) => status);
  expect(of('bad-values', 'refused')).toEqual(['True', 'True', 'False']);
  expect(of('change-undone', 'failed')).toEqual(['True', 'True', 'False']);
  expect(of('not-available', 'failed')).toEqual(['True', 'True', 'True']);
  expect(isUndone(new UserError({ what: 'w', anchor: 'upgrade-rolled-back' }))).toBe(true);
  expect(isUndone(new UserError({ what: 'w', anchor: 'not-available' }))).toBe(false);
});

test('a consent holds once: a second change under the same generation asks for another', () => {
  const annotated = (value: string, usedConsent?: string): HostedControlPlane => ({
    ...object,
    metadata: { ...object.metadata, annotations: { [consentAnnotation]: value } },
    status: { usedConsent },
  });
  expect([consents(annotated('3')), consents(annotated('2'))]).toEqual([true, false]);
  expect(consents(annotated('3', '2.4'))).toBe(true);
  expect([consents(annotated('3', '3')), consents(annotated('3.2', '3'))]).toEqual([false, true]);
  expect(consentAsked(annotated('3', '3.2'))).toBe('3.3');
});

test('no byte of what a hosted API answered is in a condition', () => {
  const cause = new ApiError({ status: 500, reason: '', message: 'sent by a tenant', of: 'hosted' });
  const inner = new UserError({ what: 'w', why: 'sent by a tenant', anchor: 'hosted-api-error', cause });
  const error = new UserError({
    what: 'the plane is not well',
    why: 'sent by a tenant',
    anchor: 'rollback-failed',
    cause: inner,
  });
  for (const { message } of factsOfFailure(error, object, false)) expect(message).not.toContain('sent by a tenant');
});

test('a condition that holds as before keeps its time', () => {
  const [first, second] = [new Date('2026-01-01T00:00:00Z'), new Date('2026-01-02T00:00:00Z')];
  const before = { ...object, status: statusWith(object, factsOfSuccess(false), {}, first) };
  const after = statusWith(before, factsOfSuccess(true), { version: '1.37.2' }, second);
  expect(after.version).toBe('1.37.2');
  expect(after.conditions!.map(({ type, lastTransitionTime }) => [type, lastTransitionTime])).toEqual([
    ['Available', '2026-01-02T00:00:00Z'],
    ['Degraded', '2026-01-01T00:00:00Z'],
    ['Progressing', '2026-01-01T00:00:00Z'],
  ]);
});

test('the object is the whole truth, but a plane keeps the version that it was made with', () => {
  const recorded = { spec: { host: 'k.example.com', kubernetesVersion: '1.36.3', etcdMembers: 3 } } as never;
  expect(specOf(object, recorded)).toMatchObject({ kubernetesVersion: '1.36.3', etcdMembers: 1, replicas: 2 });
  expect(specOf(object, undefined).kubernetesVersion).toBe('1.37.2');
  const asked = { ...object, spec: { ...object.spec, kubernetesVersion: '1.37' } };
  expect(specOf(asked, recorded).kubernetesVersion).toBe('1.37.2');
  // Keeping a version is no leave for others, and no second write of the record.
  expect(specOf(object, recorded).allowUntestedVersion).toBe(false);
  expect(
    specOf({ ...object, spec: { ...object.spec, allowUntestedVersion: true } }, recorded).allowUntestedVersion,
  ).toBe(true);
});

test('a certificate that needs a sealed key is said with what a person runs, and no command of the operator stands for it', () => {
  const ending = {
    what: 'certificate ca-signer expires in 20 days',
    anchor: 'certificate-expires' as const,
    severity: 'warning' as const,
  };
  const fact = factOfEnding(ending, object, { sealed: true, ofAuthority: false });
  expect(fact).toMatchObject({ type: 'Degraded', status: 'True', reason: 'CertificateExpires' });
  expect(fact.message).toContain('k8sk8s certs renew -n team --seal-file FILE');
  expect(factsOfSuccess(false, fact).map(({ type, status }) => [type, status])).toEqual([
    ['Available', 'True'],
    ['Degraded', 'True'],
    ['Progressing', 'False'],
  ]);
  // No renewal makes a CA anew.
  const [ofCa] = nearTheirEnd([{ name: 'ca', days: 20 }], 'team');
  for (const sealed of [true, false]) {
    const { message } = factOfEnding(ofCa!, object, { sealed, ofAuthority: true });
    expect(message).toContain('k8sk8s certs rotate-ca -n team');
    expect(message.includes('--seal-file FILE')).toBe(sealed);
  }
  const [, degraded] = factsOfFailure(keyNeeded(), object, true);
  expect(degraded).toMatchObject({ status: 'True', reason: 'SealFile' });
  for (const text of ['k8sk8s release -n team', 'k8sk8s deploy -n team --seal-file FILE', 'k8sk8s adopt -n team'])
    expect(degraded!.message).toContain(text);
});

test('what is wrong beside a change that was undone is told with it, and is gone when it is right again', () => {
  const undone = factsOfUndone(object);
  const problem = { type: 'Degraded', status: 'True', reason: 'BackupDestination', message: 'no place' } as const;
  const both = besides(undone, problem);
  const message = both.find(({ type }) => type === 'Degraded')!.message;
  expect(message).toContain('no place');
  const later = { ...object, status: statusWith(object, both, {}) };
  expect(factsOfUndone(later).find(({ type }) => type === 'Degraded')!.message).not.toContain('no place');
  // Where nothing else is wrong, it alone is.
  expect(besides(factsOfSuccess(true), problem).filter(({ type }) => type === 'Degraded')).toEqual([problem]);
});
