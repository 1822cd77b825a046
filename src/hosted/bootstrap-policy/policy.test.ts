import { expect, test } from 'vitest';
import type { KubeObject } from '../../kube/objects.ts';
import { isPolicy, policyOf, storedPolicy } from './policy.ts';

const rbac = 'rbac.authorization.k8s.io/v1';
const objects: KubeObject[] = [
  { apiVersion: rbac, kind: 'ClusterRole', metadata: { name: 'system:node' } },
  { apiVersion: rbac, kind: 'Role', metadata: { name: 'system:controller:x', namespace: 'kube-system' } },
];

test('a policy that was changed, cut, or is of another version does not count', () => {
  const policy = policyOf('1.37.2', objects);
  expect(isPolicy(JSON.parse(JSON.stringify(policy)), '1.37.2')).toBe(true);
  expect(isPolicy(policy, '1.36.3')).toBe(false);
  expect(isPolicy({ ...policy, objects: objects.slice(1) }, '1.37.2')).toBe(false);
  for (const other of [undefined, null, {}, [], 'text']) expect(isPolicy(other, '1.37.2')).toBe(false);
});

test('every plane stores it where its API server looks, under identities of its own', () => {
  const policy = policyOf('1.37.2', objects);
  const now = new Date('2026-01-02T03:04:05.678Z');
  const [first, second] = [storedPolicy(policy, now), storedPolicy(policy, now)];
  expect(first.map(({ key }) => key)).toEqual([
    '/registry/clusterroles/system:node',
    '/registry/roles/kube-system/system:controller:x',
  ]);
  const values = [...first, ...second].map(({ value }) => JSON.parse(value) as KubeObject);
  expect(new Set(values.map(({ metadata }) => metadata.uid)).size).toBe(4);
  expect(values[0]!.metadata.creationTimestamp).toBe('2026-01-02T03:04:05Z');
});
