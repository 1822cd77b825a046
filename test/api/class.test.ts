import { expect, test } from 'vitest';
import { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { ensureNamespace } from '../../src/operations/class/namespaces.ts';
import { classLabel } from '../../src/operations/class/of-class.ts';
import { missingRights, requiredRights } from '../../src/preflight/rights.ts';
import { connectByFile } from '../connect-by-file.ts';
import { refused } from '../refused.ts';
import { soon } from '../until.ts';
import { kubeconfigOf, newNamespace, request } from './world.ts';

// Namespaces for a class, against a real API server.

test('a namespace is made with quota and rights, once, and one of others is left alone', async () => {
  const { admin, name, cluster: delegate } = await newNamespace();
  const namespace = `${name}-anna`;
  const anna = { name: 'anna', namespace, host: 'anna.example.com', user: `${name}-anna-user` };
  const there = new InfraCluster(admin.transport, namespace);
  await expect(ensureNamespace(there, 'lesson', anna, { existing: true })).rejects.toEqual(refused('class', namespace));
  for (const _ of ['made', 'there']) await ensureNamespace(there, 'lesson', anna, { existing: false });
  const made = (await request(admin, 'GET', `/api/v1/namespaces/${namespace}`)) as KubeObject;
  expect(made.metadata.labels?.[classLabel]).toBe('lesson');
  expect((await there.list({ apiVersion: 'v1', kind: 'ResourceQuota' })).items).toHaveLength(2);
  const student = connectByFile(await kubeconfigOf(anna.user, namespace), namespace);
  // A Role and its binding count a moment after they were made.
  await expect.poll(async () => (await missingRights(student, requiredRights)).verbs, soon).toEqual([]);
  const other = new InfraCluster(admin.transport, name);
  await ensureNamespace(other, 'lesson', { ...anna, namespace: name }, { existing: false });
  expect((await other.list({ apiVersion: 'v1', kind: 'ResourceQuota' })).items).toEqual([]);
  // Who may not look at namespaces takes what the administrator made.
  await ensureNamespace(delegate, 'lesson', { ...anna, namespace: name }, { existing: true });
});
