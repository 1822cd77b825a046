import { expect, test } from 'vitest';
import type { Workload } from '../../kube/objects.ts';
import { withoutEnding } from './first-workers.ts';

const set = (replicas: number) =>
  ({ apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'worker-pod' }, spec: { replicas } }) as Workload;

test.each([
  ['none before', 2, undefined, 2],
  ['fewer before', 3, 1, 3],
  ['more before, which are drained first', 1, 3, 3],
])('%s', (_, wanted, before, replicas) => {
  expect(withoutEnding(set(wanted), before === undefined ? undefined : set(before))).toEqual(set(replicas));
});
