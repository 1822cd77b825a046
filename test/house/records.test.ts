import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { parseSpec } from '../../src/config/parse.ts';
import { parseRecord, recordFields, toConfigMap, type Unfinished } from '../../src/plane/record.ts';

// What every released version has written into `plane.json` of its planes, as it was read from real ones: made by its own
// deploy, sleep, rotations and restore, with the host names changed. A version that is released adds its own.

const folder = 'test/house/records';
const released = readdirSync(folder);
const records = released.flatMap((version) =>
  readdirSync(path.join(folder, version)).map((file) => ({
    version,
    name: file.replace('.json', ''),
    text: readFileSync(path.join(folder, version, file), 'utf8'),
  })),
);

const read = (text: string) =>
  parseRecord({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'k8sk8s', namespace: 'team-a' },
    data: { 'plane.json': text },
  })!;

test('there are records of every released version', () => {
  expect(released).toEqual(['0.1.0']);
  expect(records.length).toBeGreaterThan(10);
});

test.each(records)('$version, $name: it is read, nothing of it is lost, and its spec is one still', ({ text }) => {
  const was = JSON.parse(text) as Record<string, unknown>;
  const record = read(text);
  const { finishing, apiVersion: _, kind: __, writtenBy: ___, ...kept } = was;
  expect(record).toMatchObject(kept);
  expect(Object.keys(record).sort()).toEqual([...Object.keys(kept), ...(finishing ? ['unfinished'] : [])].sort());
  expect(parseRecord(toConfigMap(record))).toEqual(record);
  expect(recordFields(record)).toMatchObject({ apiVersion: 'k8sk8s.io/v1alpha1', kind: 'PlaneRecord' });
  const spec = parseSpec({ ...record.spec, allowUntestedVersion: true }, 'in the record');
  expect(spec).toMatchObject({ host: 'team-a.k8sk8s.test', etcdMembers: record.spec.etcdMembers });
});

test.each<[string, Unfinished]>([
  ['ending-encrypt-rotate', { 'encrypt-rotate': {} }],
  ['ending-rotate-ca', { 'rotate-ca': { drops: ['components'] } }],
  ['ending-rotate-ca-of-workers', { 'rotate-ca': { drops: ['workers'] } }],
  ['ending-rotate-service-account-key', { 'rotate-service-account-key': {} }],
  ['restoring', { restore: { backup: '2026-11-29T23:45:10.640Z' } }],
  ['restored-not-ended', { restore: { backup: '2026-11-29T23:45:10.640Z' } }],
])('0.1.0, %s: the step that was begun is ended by today’s command', (name, unfinished) => {
  expect(read(records.find((each) => each.version === '0.1.0' && each.name === name)!.text).unfinished).toEqual(
    unfinished,
  );
});
