import { expect, test } from 'vitest';
import { parseSpec } from '../../config/parse.ts';
import type { ClusterSpecInput } from '../../config/schema.ts';
import type { PlaneRecord } from '../../plane/record.ts';
import { specBefore } from './way-back.ts';

const spec = (input: Partial<ClusterSpecInput> = {}) => parseSpec({ host: 'k.example.com', ...input }, 'in a test');
const record = (phase: PlaneRecord['phase']): PlaneRecord => ({
  planeId: 'plane-0123456789',
  toolVersion: '0.1.0',
  spec: { host: 'k.example.com' },
  issuers: [],
  phase,
});
const changed = { record: record('available'), replaces: false, spec: spec({ auditPolicy: undefined, replicas: 2 }) };

test('a plane that was available goes back when it does not work by what was asked for', () => {
  for (const step of ['control-plane', 'available', 'components-ready'])
    expect(specBefore(changed, step)?.replicas).toBe(1);
});

test.each([
  ['a step that says nothing of the plane', changed, 'kubeconfigs'],
  ['a deploy that ended before its first step', changed, undefined],
  ['a plane that never was available', { ...changed, record: record('deploying') }, 'available'],
  ['a plane that slept', { ...changed, asleep: { since: '', replicas: {} } }, 'available'],
  ['another storage', { ...changed, replaces: true }, 'available'],
  [
    'another number of members, which goes on from where it is',
    { ...changed, spec: spec({ etcdMembers: 3 }) },
    'available',
  ],
  ['a deploy that was to change nothing', { ...changed, spec: spec() }, 'available'],
])('%s: there is nothing to go back to', (_, state, step) => {
  expect(specBefore(state, step)).toBeUndefined();
});
