import { expect, test } from 'vitest';
import { type PlaneRecord, parseRecord, recordFields, toConfigMap } from './record.ts';

const record: PlaneRecord = {
  planeId: 'plane-0123456789',
  toolVersion: '0.1.0',
  spec: { host: 'k.example.com', kubernetesVersion: '1.37.2' },
  issuers: ['https://k.example.com'],
  phase: 'available',
};
const map = (fields: object | string) => ({
  ...toConfigMap(record),
  data: { 'plane.json': typeof fields === 'string' ? fields : JSON.stringify(fields) },
});
const fields = recordFields(record);
const thrown = (fields: object | string) => {
  try {
    parseRecord(map(fields));
  } catch (error) {
    return error;
  }
  throw new Error('it was read');
};

test('a record says what it is, and comes back as it was written, byte by byte', () => {
  expect(fields).toMatchObject({ apiVersion: 'k8sk8s.io/v1alpha1', kind: 'PlaneRecord' });
  const full: PlaneRecord = {
    asleep: {
      snapshot: { revision: 7, sha256: 'ab', parts: 2, size: 9 },
      replicas: { etcd: 1 },
      since: '2026-01-01T00:00:00Z',
    },
    unfinished: { restore: { backup: '2026-01-01T00:00:00Z' }, 'rotate-ca': { drops: ['workers'] } },
    ...record,
  };
  const written = toConfigMap(full);
  const read = parseRecord(written)!;
  expect(read).toEqual(full);
  expect(toConfigMap(read)).toEqual(written);
});

test.each([
  ['an apiVersion of later', { ...fields, apiVersion: 'k8sk8s.io/v1beta1' }],
  ['a phase that this version does not know', { ...fields, writtenBy: '0.9.0', phase: 'migrating' }],
  ['a field that this version does not know', { ...fields, writtenBy: '0.9.0', hibernation: {} }],
  ['an operation that this version does not know', { ...fields, writtenBy: '0.9.0', unfinished: { 'move-host': {} } }],
  [
    'an option that this version does not know',
    { ...fields, writtenBy: '0.9.0', spec: { ...fields.spec, mesh: true } },
  ],
  [
    'a value that this version does not know',
    { ...fields, writtenBy: '0.9.0', spec: { ...fields.spec, egress: 'mesh' } },
  ],
])('%s, of a newer k8sk8s, is refused with both versions', (_, newer) => {
  const error = thrown(newer);
  expect(error).toMatchObject({ anchor: 'record-newer', kind: 'refused' });
  const { what, fix } = error as { what: string; fix: string };
  expect(what).toContain('0.1.0');
  expect(what).toMatch(/namespace|configmap/);
  expect(fix).toContain(newer.writtenBy);
});

test('a newer k8sk8s whose record says nothing new can be followed by this one', () => {
  expect(parseRecord(map({ ...fields, writtenBy: '0.9.0', toolVersion: '0.9.0' }))).toMatchObject({
    phase: 'available',
  });
});

test.each([
  ['half of it', '{"half'],
  ['a list', '[]'],
  ['no identity', { ...fields, planeId: undefined }],
  ['a phase that there is not', { ...fields, phase: 'avialable' }],
  ['a field that there is not', { ...fields, asleeep: {} }],
])('%s is damage, and not the absence of a plane', (_, content) => {
  expect(thrown(content)).toMatchObject({ anchor: 'record-damaged' });
});

test('a ConfigMap of that name is damaged when it is of k8sk8s, and else somebody else’s', () => {
  const { data: _, ...empty } = map('');
  expect(() => parseRecord(empty)).toThrow(expect.objectContaining({ anchor: 'record-damaged' }));
  expect(
    parseRecord({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'k8sk8s' }, data: { a: 'b' } }),
  ).toBeUndefined();
});

test.each([
  ['certs rotate-ca', { 'rotate-ca': { drops: ['components'] } }],
  ['certs rotate-ca --authority ca kubelet-serving-ca', { 'rotate-ca': { drops: ['workers'] } }],
  ['certs rotate-service-account-key', { 'rotate-service-account-key': {} }],
  ['encrypt rotate', { 'encrypt-rotate': {} }],
  ['etcd repair', { 'etcd-repair': {} }],
  ['restore of 2026-11-29T12:00:00.000Z', { restore: { backup: '2026-11-29T12:00:00.000Z' } }],
])('what 0.1.0 was about to end, %s, is taken over', (finishing, unfinished) => {
  const { apiVersion: _, kind: __, writtenBy: ___, ...of010 } = fields;
  expect(parseRecord(map({ ...of010, finishing }))).toEqual({ ...record, unfinished });
  // 0.1.0 leaves what it does not know, and writes its slot beside it.
  const both = parseRecord(map({ ...fields, finishing, unfinished: { 'encrypt-rotate': { since: 'then' } } }));
  expect(both!.unfinished).toEqual({ ...unfinished, 'encrypt-rotate': { since: 'then' } });
});
