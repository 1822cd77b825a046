import { setTimeout } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { parseSpec } from '../../src/config/parse.ts';
import type { ClusterSpecInput } from '../../src/config/schema.ts';
import { storeParts } from '../../src/etcd/snapshots.ts';
import { connectInfra } from '../../src/kube/connect.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject, StatefulSet, Workload } from '../../src/kube/objects.ts';
import { applyAll, Existing, nothingApplied } from '../../src/live/apply.ts';
import { ensureRecord } from '../../src/live/record.ts';
import { withLock } from '../../src/live/with-plane.ts';
import { sleepPlane, wakePlane } from '../../src/operations/sleep.ts';
import { scheduleObjects, scheduleSleep, unscheduleSleep } from '../../src/operations/sleep-schedule.ts';
import { ensureCertificates } from '../../src/pki/certificates.ts';
import type { PlaneRecord, StoredSnapshot } from '../../src/plane/record.ts';
import { certificateContext, renderPlane } from '../../src/plane/render.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { fixedPlane } from '../golden/plane.ts';
import { refused } from '../refused.ts';
import { ownSnapshot } from './own-etcd.ts';
import { accountAs, bind, untilAllowed } from './rights.ts';
import { newNamespace, request } from './world.ts';

// What makes a plane sleep by the clock, against a real API server.

const spec = parseSpec({ host: 'k.example.com' }, 'in a test');
const signal = new AbortController().signal;
const zone = { timeZone: 'Europe/Berlin', image: 'registry.example.com/k8sk8s:1', reporter: quietReporter };
const times = { ...zone, sleep: '0 19 * * 1-5', wake: '0 7 * * 1-5' };

const putRecord = (cluster: InfraCluster) =>
  withLock(cluster, 'test', { reporter: quietReporter, timeout: 5000, signal }, (held) => ensureRecord(held, spec));

/** The rights of `edit`, which no controller aggregates here. */
async function withEdit() {
  const delegate = await newNamespace();
  const role = { kind: 'ClusterRole', name: 'system:aggregate-to-edit' } as const;
  await bind(delegate.admin, role, { kind: 'User', name: `${delegate.name}-admin` });
  return delegate;
}

/** What templates/rights/schedule.yaml makes. */
async function makeAccount(admin: InfraCluster, namespace: string): Promise<void> {
  for (const object of scheduleObjects(namespace)) await admin.apply(object);
  await untilAccountMay(admin, namespace);
}

const untilAccountMay = (admin: InfraCluster, namespace: string) =>
  untilAllowed(admin, accountAs(namespace, 'k8sk8s-schedule'), {
    namespace,
    verb: 'patch',
    group: 'apps',
    resource: 'statefulsets',
  });

async function cronJobs(cluster: InfraCluster): Promise<string[]> {
  const { items } = await cluster.list<KubeObject>({ apiVersion: 'batch/v1', kind: 'CronJob' });
  return items.map(({ metadata }) => metadata.name).sort();
}

test('a schedule needs the account that the administrator makes, and is taken off again', async () => {
  const { cluster, admin, name } = await withEdit();
  await putRecord(cluster);
  const account = refused('schedule-account', 'k8sk8s-schedule', 'templates/rights/schedule.yaml');
  await expect(scheduleSleep(cluster, times)).rejects.toEqual(account);
  await makeAccount(admin, name);
  await scheduleSleep(cluster, times);
  expect(await cronJobs(cluster)).toEqual(['k8sk8s-sleep', 'k8sk8s-wake']);
  await scheduleSleep(cluster, { ...zone, sleep: '0 20 * * *' });
  expect(await cronJobs(cluster)).toEqual(['k8sk8s-sleep']);
  const wrong = [{ timeZone: 'Europe/Atlantis' }, { sleep: 'at seven' }];
  for (const each of wrong)
    await expect(scheduleSleep(cluster, { ...times, ...each })).rejects.toEqual(refused('bad-values'));
  expect(await unscheduleSleep(cluster)).toBe(true);
  expect(await cronJobs(cluster)).toEqual([]);
});

test('with the rights of edit, an account without its Role is refused with the rights that it lacks', async () => {
  const { cluster, admin, name } = await withEdit();
  await putRecord(cluster);
  const [account, role, binding] = scheduleObjects(name);
  await admin.apply(account!);
  await expect(scheduleSleep(cluster, times)).rejects.toEqual(
    refused('schedule-account', /patch.* statefulsets\.apps/),
  );
  await admin.apply(role!);
  await admin.apply(binding!);
  await untilAccountMay(admin, name);
  await scheduleSleep(cluster, times);
  expect(await cronJobs(cluster)).toEqual(['k8sk8s-sleep', 'k8sk8s-wake']);
});

/** A namespace with a plane's objects, and the account of its schedule. */
async function withPlaneAndAccount(
  input: Partial<ClusterSpecInput>,
  asleep?: (cluster: InfraCluster) => Promise<PlaneRecord['asleep']>,
) {
  const { cluster, admin, name } = await newNamespace();
  const fixed = await fixedPlane(parseSpec({ host: 'k.example.com', ...input }, 'in a test'), 'available');
  const plane = { ...fixed, record: { ...fixed.record, asleep: await asleep?.(cluster) } };
  const certificates = certificateContext(name, plane.spec, plane.addresses);
  const { bundle } = await ensureCertificates(undefined, certificates, { keyType: 'ec' });
  const objects = renderPlane({ ...plane, bundle }).all();
  await applyAll(cluster, plane.record.planeId, objects, await Existing.read(cluster), nothingApplied(), quietReporter);
  await makeAccount(admin, name);
  const { status } = (await request(admin, 'POST', `/api/v1/namespaces/${name}/serviceaccounts/k8sk8s-schedule/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {},
  })) as { status: { token: string } };
  const { server, tls } = admin.transport.connection;
  const account = connectInfra({ server, tls, credentials: { token: { text: status.token } } }, name);
  onTestFinished(() => account.close());
  return { cluster, admin, account };
}

const work = { reporter: quietReporter, timeout: 2000, signal };

test('the account may do what the two commands do', async () => {
  const { cluster, account } = await withPlaneAndAccount({ etcdStorage: '1Gi' });
  expect(await sleepPlane(account, work)).toBe(true);
  const replicas = async () =>
    (await cluster.list<Workload>({ apiVersion: 'apps/v1', kind: 'Deployment' })).items.map(
      ({ spec }) => spec.replicas,
    );
  expect(await replicas()).toEqual([0, 0, 0]);
  // No node runs its pods here: it waits for etcd, and no right is missing on the way there.
  await expect(wakePlane(account, work)).rejects.toEqual(refused('not-available'));
});

async function storeSomeSnapshot(cluster: InfraCluster): Promise<StoredSnapshot> {
  const { snapshot, sha256 } = ownSnapshot();
  const parts = await storeParts(cluster, { planeId: 'plane-0123456789', spec }, gzipSync(snapshot));
  return { parts, size: snapshot.length, sha256, revision: 2 };
}

/** In the place of the controller of StatefulSets, which gives each template the name of its revision. */
function reviseStatefulSets(admin: InfraCluster): void {
  const end = new AbortController();
  const revise = async () => {
    for (; !end.signal.aborted; await setTimeout(50)) {
      const etcd = await admin.get<StatefulSet>({ apiVersion: 'apps/v1', kind: 'StatefulSet' }, 'etcd');
      if (!etcd || etcd.status?.observedGeneration === etcd.metadata.generation) continue;
      const status = { replicas: 0, observedGeneration: etcd.metadata.generation, updateRevision: 'etcd-1' };
      const at = `/apis/apps/v1/namespaces/${admin.namespace}/statefulsets/etcd/status`;
      // Another version, or none, is looked at again.
      await request(admin, 'PUT', at, { ...etcd, status }).catch(() => undefined);
    }
  };
  const revising = revise();
  onTestFinished(() => {
    end.abort();
    return revising;
  });
}

test('the account may give an ephemeral etcd its data back', async () => {
  const { cluster, admin, account } = await withPlaneAndAccount({ etcdStorage: 'ephemeral' }, async (cluster) => ({
    since: '2026-01-01T00:00:00Z',
    replicas: { etcd: 1 },
    snapshot: await storeSomeSnapshot(cluster),
  }));
  reviseStatefulSets(admin);
  // No node runs the pod that takes the data in.
  await expect(wakePlane(account, work)).rejects.toEqual(refused('restore-failed', 'Pending'));
  expect(await cluster.get({ apiVersion: 'v1', kind: 'Pod' }, 'etcd-0')).toBeDefined();
});
