import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { refused } from '../../test/refused.ts';
import { hostedControlPlane, hostedControlPlaneName } from '../config/hosted-control-plane.ts';
import { parseSpec } from '../config/parse.ts';
import { InfraCluster } from '../kube/infra-cluster.ts';
import type { Lease } from '../kube/objects.ts';
import { ofTheObject } from '../live/followed.ts';
import { InfraStore } from '../live/infra-store.fixture.ts';
import { leasePath, putPlane, recordPath } from '../live/plane.fixture.ts';
import { withLock } from '../live/with-plane.ts';
import { objectAnnotation } from '../plane/names.ts';
import { quietReporter } from '../ui/quiet.ts';
import type { Work } from '../ui/work.ts';
import { deploy } from './deploy/deploy.ts';
import { destroy } from './destroy.ts';
import { dropHost } from './drop-host.ts';
import { defragment, repairMembers } from './etcd/maintenance.ts';
import { renewCertificates } from './keys/certificates.ts';
import { rotateEncryption } from './keys/encryption-key.ts';
import { rotateExposed } from './keys/rotate-all.ts';
import { rotateAuthorities } from './keys/rotate-ca/rotate-ca.ts';
import { rotatable } from './keys/rotate-ca/rotation-status.ts';
import { rotateServiceAccountKey } from './keys/service-account-key.ts';
import { switchLogs } from './log-store/switch.ts';
import { probeNetwork } from './network-probe.ts';
import { sleepPlane, wakePlane } from './sleep.ts';
import { scheduleSleep } from './sleep-schedule.ts';
import { upgrade } from './upgrade/upgrade.ts';
import { scaleWorkers } from './workers/scale.ts';

// Every operation over a plane in memory whose API does not answer: what is read and written while the lock is held, and
// whether the lock is given back. What the operations do is tested where there is a plane that runs.

beforeAll(() => {
  // Locks are renewed when a test says so.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});

afterAll(() => {
  vi.useRealTimers();
});

const rotation = () => ({
  force: true,
  agree: async () => undefined,
  files: { dir: path.join(mkdtempSync(path.join(tmpdir(), 'k8sk8s-')), 'tls'), force: false },
});

const operations: Record<string, (cluster: InfraCluster, work: Work) => Promise<unknown>> = {
  sleep: sleepPlane,
  wake: wakePlane,
  upgrade: (cluster, work) =>
    upgrade(cluster, { ...work, to: '1.37.9', allowUntested: true, observe: 1, decide: () => undefined }),
  'certs renew': (cluster, work) => renewCertificates(cluster, [], work),
  'certs rotate-ca': (cluster, work) => rotateAuthorities(cluster, { ...rotation(), names: rotatable }, work),
  'certs rotate-exposed': (cluster, work) => rotateExposed(cluster, rotation(), work),
  'certs rotate-service-account-key': (cluster, work) => rotateServiceAccountKey(cluster, false, work),
  'encrypt rotate': rotateEncryption,
  'etcd defrag': defragment,
  'etcd repair': (cluster, work) => repairMembers(cluster, { lost: [] }, work),
  'host drop': (cluster, work) => dropHost(cluster, { host: 'earlier.test', evenIfDialled: false }, work),
  'status --probe-network': probeNetwork,
  'workers scale': (cluster, work) => scaleWorkers(cluster, 1, work),
  logs: (cluster, work) => switchLogs(cluster, { logs: true }, work),
  destroy: (cluster, work) => destroy(cluster, { ...work, agreed: undefined }),
};
const names = Object.keys(operations);

const work = (signal = new AbortController().signal): Work => ({ reporter: quietReporter, timeout: 300, signal });
async function planeFor(name: string): Promise<InfraStore> {
  const store = new InfraStore();
  await putPlane(store, name === 'wake' ? { asleep: { since: '2026-01-01T00:00:00Z', replicas: {} } } : {});
  return store;
}

const holder = (store: InfraStore) => store.get<Lease>(leasePath)?.spec.holderIdentity;

test.concurrent.each(names)(
  '%s reads the Secrets and writes only while it holds the lock, and gives the lock back',
  async (name) => {
    const store = new InfraStore();
    await putPlane(store);
    const without: string[] = [];
    store.before = ({ method, path: at }) => {
      const sensitive = method === 'GET' ? at.includes('/secrets') : !at.includes('/leases');
      if (sensitive && !holder(store)) without.push(`${method} ${at}`);
    };
    await operations[name]!(store.cluster, work()).catch(() => undefined);
    expect(without).toEqual([]);
    expect(
      store.requests.filter((each) => each === 'POST leases'),
      'takes the lock',
    ).toEqual(['POST leases']);
    expect(holder(store) ?? '').toBe('');
  },
);

test.concurrent.each(names)('%s ends with the reason when it is interrupted', async (name) => {
  const store = await planeFor(name);
  const interruption = new AbortController();
  store.before = () => {
    if (holder(store)) interruption.abort(new Error('interrupted by SIGINT'));
  };
  await expect(operations[name]!(store.cluster, work(interruption.signal))).rejects.toThrow('interrupted by SIGINT');
  expect(holder(store) ?? '').toBe('');
});

test.concurrent.each(names)('%s ends when another run takes the lock over', async (name) => {
  const store = await planeFor(name);
  let taken = false;
  store.before = async ({ path: at }) => {
    if (taken || !holder(store) || at.includes('/leases')) return;
    taken = true;
    const lease = store.get<Lease>(leasePath)!;
    store.put(leasePath, { ...lease, spec: { ...lease.spec, holderIdentity: 'another' } } as Lease);
    vi.advanceTimersByTime(5000);
    // The renewal that is told of it.
    await new Promise((resolve) => setTimeout(resolve, 20));
  };
  const run = operations[name]!(store.cluster, { ...work(), timeout: 30_000 });
  await expect(run).rejects.toMatchObject({ anchor: 'plane-busy' });
  expect(holder(store)).toBe('another');
});

function letFollow(store: InfraStore): void {
  const object = store.put('hostedcontrolplanes/k8sk8s', {
    ...hostedControlPlane,
    metadata: { name: hostedControlPlaneName },
  });
  const record = store.get(recordPath)!;
  record.metadata.annotations = { [objectAnnotation]: object.metadata.uid! };
  store.put(recordPath, record);
}

test.each(names)('%s on a plane that follows its object: the table of docs/operator.md', async (name) => {
  const store = await planeFor(name);
  letFollow(store);
  const outcome = await operations[name]!(store.cluster, work()).catch((error) => error);
  if (ofTheObject.includes(name)) expect(outcome).toEqual(refused('plane-follows-object', 'release'));
  else expect(outcome).not.toMatchObject({ anchor: 'plane-follows-object' });
  // Its object goes first, and orphans the plane, so that destroy decides the order.
  expect(store.get('hostedcontrolplanes/k8sk8s') === undefined).toBe(name === 'destroy');
});

/** What asks for more than the lock before it takes it, or needs a file. */
const refusedBefore: Record<string, (cluster: InfraCluster) => Promise<unknown>> = {
  deploy: (cluster) =>
    deploy(cluster, { ...work(), choose: () => parseSpec({ host: 'k.test' }, 'here'), allowDataLoss: false }),
  // A backup is read before.
  restore: (cluster) => withLock(cluster, 'restore', work(), async () => undefined),
  'sleep --schedule': (cluster) =>
    scheduleSleep(cluster, { sleep: '0 19 * * *', timeZone: 'Etc/UTC', image: 'k8sk8s', reporter: quietReporter }),
};

test.each(Object.entries(refusedBefore))('%s on a plane that follows its object is refused', async (_, run) => {
  const store = await planeFor('deploy');
  letFollow(store);
  await expect(run(store.cluster)).rejects.toEqual(refused('plane-follows-object', 'release'));
});

/** Names of the commands in the row of the table that ends so. */
const rowOf = (end: string) =>
  [
    ...new RegExp(`^\\| (.*) \\| ${end}`, 'm')
      .exec(readFileSync('docs/operator.md', 'utf8'))![1]!
      .matchAll(/`([^`]+)`/g),
  ]
    .map(([, name]) => name!)
    .sort();

test('the table of docs/operator.md has a row of what is refused, and one of what takes the Lease, and all of both was run here', () => {
  const refusedHere = [...names, ...Object.keys(refusedBefore)].filter((name) => {
    const [first] = name.split(' --');
    return ofTheObject.includes(first!) && !['sleep', 'wake'].includes(name);
  });
  const asTold = refusedHere.flatMap((name) => (name === 'logs' ? ['logs disable', 'logs enable'] : [name]));
  expect(rowOf('refused: `plane-follows-object`; change the object')).toEqual(asTold.sort());
  const lease = names.filter((name) => !ofTheObject.includes(name) && name !== 'destroy');
  expect(rowOf("takes the plane's Lease")).toEqual(lease.sort());
});

test.each(names)('%s for an operator leaves a plane alone that does not follow its object', async (name) => {
  const store = await planeFor(name);
  const { transport, namespace } = store.cluster;
  const cluster = new InfraCluster(transport, namespace, { object: 'uid-of-an-object' });
  const before = structuredClone([...store.objects].filter(([key]) => key !== leasePath));
  await expect(operations[name]!(cluster, work())).rejects.toEqual(refused('not-adopted', 'adopt'));
  expect([...store.objects].filter(([key]) => key !== leasePath)).toEqual(before);
});
