import { expect, test } from 'vitest';
import { parseSpec } from '../../src/config/parse.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { ConfigMap, Job, KubeObject } from '../../src/kube/objects.ts';
import { asOwner, lifetimeOf, readLifetimeJob } from '../../src/live/lifetime.ts';
import { ensureRecord } from '../../src/live/record.ts';
import { withLock } from '../../src/live/with-plane.ts';
import { settleLifetime, type WantedLifetime } from '../../src/operations/deploy/lifetime.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { refused } from '../refused.ts';
import { newNamespace } from './world.ts';

// The Job that a plane belongs to, against a real API server whose Job controller does not run, with a delegated administrator's rights.

const spec = parseSpec({ host: 'k.example.com' }, 'in a test');
const signal = new AbortController().signal;
const inHours = (hours: number): WantedLifetime => ({ at: new Date(Date.now() + hours * 3_600_000) });

function settle(cluster: InfraCluster, wanted: WantedLifetime, warnings: unknown[] = []): Promise<void> {
  const reporter = { ...quietReporter, warn: (text: unknown) => warnings.push(text) };
  return withLock(cluster, 'test', { reporter, timeout: 5000, signal }, async (locked) => {
    const held = await settleLifetime(locked, wanted, spec);
    await ensureRecord(held, spec);
  });
}

const ownersOf = (object: KubeObject | undefined) => object?.metadata.ownerReferences?.map(({ name }) => name);
const record = (cluster: InfraCluster) => cluster.get<ConfigMap>({ apiVersion: 'v1', kind: 'ConfigMap' }, 'k8sk8s');

test('record and lease belong to the Job from the beginning; an end is put off, and a time that nobody counts is told', async () => {
  const { cluster } = await newNamespace();
  const warnings: unknown[] = [];
  await settle(cluster, inHours(1), warnings);
  expect(warnings).toHaveLength(1);
  const lease = await cluster.get({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' }, 'k8sk8s');
  expect(ownersOf(await record(cluster))).toEqual(['k8sk8s-lifetime']);
  expect(ownersOf(lease)).toEqual(['k8sk8s-lifetime']);
  expect(lifetimeOf(await readLifetimeJob(cluster))?.counted).toBe(false);
  await settle(cluster, inHours(8));
  const job = (await readLifetimeJob(cluster)) as Job;
  expect(Math.round(job.spec!.activeDeadlineSeconds! / 3600)).toBe(8);
  // What is applied without a word of the owner loses it, so that every apply has to go through asOwner.
  const { apiVersion, kind, data } = (await record(cluster))!;
  const again = { apiVersion, kind, metadata: { name: 'k8sk8s' }, data };
  expect(ownersOf(await (await asOwner(cluster)).apply(again))).toEqual(['k8sk8s-lifetime']);
});

test('an end is refused before anything is made where Jobs may not be made', async () => {
  const { cluster } = await newNamespace({
    without: (rule) => (rule.resources.includes('jobs') ? { ...rule, verbs: ['get', 'list'] } : rule),
  });
  await expect(settle(cluster, inHours(1))).rejects.toEqual(refused('rights', 'create, patch, delete jobs.batch'));
  expect(await record(cluster)).toBeUndefined();
  await settle(cluster, undefined);
  expect(ownersOf(await record(cluster))).toBeUndefined();
});
