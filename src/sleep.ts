import { setTimeout as delay } from 'node:timers/promises';
import { renewLeaves } from './certificates.ts';
import { UserError } from './errors.ts';
import { openPlane, type Plane } from './hosted.ts';
import type { InfraCluster } from './kube/cluster.ts';
import type { Pod, Workload } from './kube/objects.ts';
import { acquireLock } from './lock.ts';
import { Existing } from './plane/apply.ts';
import { waitAvailable, waitComponentsReady } from './plane/available.ts';
import { Diagnosis } from './plane/diagnose.ts';
import { belongsTo } from './plane/names.ts';
import { podsOf } from './plane/pods.ts';
import type { Work } from './plane/roll-out.ts';
import { startOrder, waitEtcdStarts } from './plane/start-order.ts';
import { type PlaneRecord, toConfigMap } from './record.ts';

/**
 * Ends a plane's pods and keeps everything else, so that it costs nothing but its objects and volumes. Its workers go on
 * running what they run. Killed anywhere and run again, it goes on.
 *
 * @returns false when it slept already
 * @throws UserError `sleep-ephemeral` when its data would go with its pods
 */
export async function sleepPlane(cluster: InfraCluster, { reporter, timeout, signal }: Work): Promise<boolean> {
  const lock = await acquireLock(cluster, 'sleep', reporter, signal);
  const stop = AbortSignal.any([signal, lock.lost]);
  try {
    const plane = await openPlane(cluster);
    const { record } = plane;
    refuseToLose(cluster, plane);
    const workloads = await workloadsOf(cluster, record);
    const awake = workloads.filter(({ spec }) => spec.replicas !== 0);
    if (record.asleep && awake.length === 0 && (await podsOf(cluster, record.planeId)).length === 0) return false;
    const counts = Object.fromEntries(awake.map(({ metadata, spec }) => [metadata.name, spec.replicas ?? 1]));
    const asleep = {
      since: record.asleep?.since ?? new Date().toISOString(),
      replicas: { ...record.asleep?.replicas, ...counts },
    };
    // Noted first: a run that is ended half-way leaves a plane that says why it does not answer.
    await cluster.apply(toConfigMap({ ...record, asleep }));
    // An API server whose etcd is gone first does not end before its grace period does.
    await scale(cluster, workloads.filter(isNotEtcd), () => 0);
    await untilEnded(cluster, record, isNotEtcd, { reporter, timeout, signal: stop });
    await scale(cluster, workloads, () => 0);
    await untilEnded(cluster, record, () => true, { reporter, timeout, signal: stop });
    return true;
  } catch (error) {
    throw stop.aborted ? stop.reason : error;
  } finally {
    await lock.release();
  }
}

/**
 * Gives a sleeping plane its pods back and returns when its API answers and all components are ready. Kubelets try for
 * ever, so workers come back by themselves.
 *
 * @returns the plane's public address; undefined when it was awake
 */
export async function wakePlane(cluster: InfraCluster, work: Work): Promise<string | undefined> {
  const { reporter, timeout } = work;
  const lock = await acquireLock(cluster, 'wake', reporter, work.signal);
  const signal = AbortSignal.any([work.signal, lock.lost]);
  let diagnosis: Diagnosis | undefined;
  try {
    const plane = await openPlane(cluster);
    const { record } = plane;
    if (!record.asleep) return undefined;
    const { replicas } = record.asleep;
    // Certificates go on ageing.
    await renewLeaves(cluster, plane, reporter);
    const workloads = await workloadsOf(cluster, record);
    diagnosis = new Diagnosis(cluster, record.planeId);
    diagnosis.expect(workloads);
    const wake = (some: Workload[]) => scale(cluster, some, (name) => replicas[name] ?? 1);
    const { first, apiServer, clients } = startOrder(workloads, (workload) => workload);
    await wake(first);
    await waitEtcdStarts(diagnosis, { reporter, timeout, signal });
    await wake(apiServer);
    await untilAnswers(plane, diagnosis, { reporter, timeout, signal }, () => wake(clients));
    await waitComponentsReady(diagnosis, timeout, signal);
    await cluster.apply(toConfigMap({ ...record, asleep: undefined }));
    return plane.addresses.publicServer;
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    diagnosis?.close();
    await lock.release();
  }
}

async function untilAnswers(
  plane: Plane,
  diagnosis: Diagnosis,
  { reporter, timeout, signal }: Work,
  onAnswer: () => Promise<void>,
): Promise<void> {
  const hosted = await plane.connect({ wakes: true });
  const phase = reporter.begin('Trying to connect to the hosted control plane');
  try {
    await waitAvailable(hosted, diagnosis, { timeout, phase, signal, onAnswer });
    phase.done('AVAILABLE !');
  } catch (error) {
    phase.fail();
    throw error;
  } finally {
    await hosted.close();
  }
}

async function workloadsOf(cluster: InfraCluster, { planeId }: PlaneRecord): Promise<Workload[]> {
  const existing = await Existing.read(cluster);
  return [...existing.ofKind<Workload>('StatefulSet'), ...existing.ofKind<Workload>('Deployment')].filter((object) =>
    belongsTo(object, planeId),
  );
}

function refuseToLose({ namespace }: InfraCluster, { record, storage }: Plane): void {
  if (record.phase !== 'available')
    throw new UserError({
      what: `the plane in namespace "${namespace}" cannot sleep yet`,
      why: 'its first deploy is not finished',
      fix: `run k8sk8s deploy -n ${namespace} again`,
      anchor: 'plane-incomplete',
    });
  if (storage.kind === 'volume') return;
  throw new UserError({
    what: `the plane in namespace "${namespace}" cannot sleep: all that it holds would be lost`,
    why: 'its etcd is ephemeral: the data lives in its pod, and a plane that sleeps has no pods',
    fix: 'leave it running; only a plane that was made with a volume for etcd (k8sk8s deploy --etcd-storage 5Gi) can sleep',
    anchor: 'sleep-ephemeral',
    exitCode: 2,
  });
}

/** The number of pods, and nothing else: what somebody changed about them stays as it is. */
async function scale(cluster: InfraCluster, workloads: Workload[], to: (name: string) => number): Promise<void> {
  await Promise.all(
    workloads.map(({ apiVersion, kind, metadata: { name } }) =>
      cluster.merge({ apiVersion, kind }, name, { spec: { replicas: to(name) } }),
    ),
  );
}

function isNotEtcd({ metadata: { name, labels } }: Workload | Pod): boolean {
  return (labels?.['app.kubernetes.io/name'] ?? name) !== 'etcd';
}

async function untilEnded(
  cluster: InfraCluster,
  record: PlaneRecord,
  which: (pod: Pod) => boolean,
  { reporter, timeout, signal }: Work,
): Promise<void> {
  const deadline = Date.now() + timeout;
  const phase = reporter.begin(
    which === isNotEtcd ? 'Waiting until all but etcd has ended' : 'Waiting until etcd has ended',
  );
  for (;;) {
    const left = (await podsOf(cluster, record.planeId)).filter(which).map(({ metadata }) => metadata.name);
    if (left.length === 0) return phase.done();
    phase.update(left.join(', '));
    if (Date.now() > deadline) {
      phase.fail();
      throw new UserError({
        what: `pods of the plane are still there after ${Math.round(timeout / 1000)} s: ${left.join(', ')}`,
        why: 'something holds them: a node that does not answer, or a finalizer',
        fix: `look at them with kubectl -n ${cluster.namespace} describe pod, then run the command again`,
        anchor: 'not-gone',
      });
    }
    await delay(100, undefined, { signal });
  }
}
