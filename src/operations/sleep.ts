import { Readable } from 'node:stream';
import { imagesOf } from '../config/images.ts';
import { seedEtcd } from '../etcd/seed.ts';
import { deleteSnapshot, storedSnapshot, storeSnapshot } from '../etcd/snapshots.ts';
import { wakeBeside } from '../hosted/beside.ts';
import { waitUsable } from '../hosted/usable.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Pod, Workload } from '../kube/objects.ts';
import type { Plane } from '../live/open.ts';
import { PodWatch } from '../live/pod-watch.ts';
import { podsOf } from '../live/pods.ts';
import { updateRecord } from '../live/record.ts';
import { type HeldPlane, withPlane } from '../live/with-plane.ts';
import { besideOf, isBeside } from '../plane/beside/lookup.ts';
import type { Asleep } from '../plane/record.ts';
import { renderPlane } from '../plane/render.ts';
import { connectWhenAvailable, waitComponentsReady } from '../rollout/available.ts';
import { renewLeaves } from '../rollout/renew-leaves.ts';
import { publishNotReady } from '../rollout/service.ts';
import { startOrder, waitEtcdStarts } from '../rollout/start-order.ts';
import { endAllButEtcd, scale, untilEnded, workloadsOf } from '../rollout/stop.ts';
import type { Work } from '../ui/work.ts';

/**
 * Ends a plane's pods and keeps everything else, so that it costs nothing but its objects and volumes; what an ephemeral
 * etcd holds is kept in Secrets. Workers that are machines go on running what they run; those that are pods end. Killed anywhere and run again, it goes on.
 *
 * @returns false when it slept already
 * @throws UserError `sleep-too-large`, `plane-incomplete`
 */
export async function sleepPlane(cluster: InfraCluster, work: Work): Promise<boolean> {
  return withPlane(cluster, 'sleep', work, fallAsleep, { asleep: 'allowed' });
}

async function fallAsleep({ record, storage, bundle, held }: HeldPlane): Promise<boolean> {
  const { cluster, reporter, signal } = held;
  const workloads = await workloadsOf(cluster, record);
  const awake = workloads.filter(({ spec }) => spec.replicas !== 0);
  if (record.asleep && awake.length === 0 && (await podsOf(cluster, record.planeId)).length === 0) return false;
  const components = awake.filter((workload) => !isBeside(workload));
  const counts = Object.fromEntries(components.map(({ metadata, spec }) => [metadata.name, spec.replicas ?? 1]));
  const asleep: Asleep = {
    since: record.asleep?.since ?? new Date().toISOString(),
    replicas: { ...record.asleep?.replicas, ...counts },
    // A plane that was about to wake may have seen writes since.
    ...(!record.asleep?.givenBack && { snapshot: record.asleep?.snapshot }),
  };
  // Noted first: a run that is ended half-way leaves a plane that says why it does not answer.
  await updateRecord(held, (now) => ({ ...now, asleep }));
  await scale(
    cluster,
    workloads.filter((workload) => besideOf(workload)?.ends === 'before'),
    () => 0,
  );
  // An API server whose etcd is gone first does not end before its grace period does.
  await endAllButEtcd(cluster, record, held);
  if (storage.kind === 'ephemeral' && !asleep.snapshot) {
    asleep.snapshot = await storeSnapshot(cluster, record, bundle, signal);
    await updateRecord(held, (now) => ({ ...now, asleep }));
    reporter.line(`etcd's data is kept in ${asleep.snapshot.parts} Secrets, revision ${asleep.snapshot.revision}`);
  }
  // What keeps the logs takes the last words of the others over.
  const isLast = (object: Workload | Pod) => besideOf(object)?.ends === 'after';
  const [last, others] = [workloads.filter(isLast), workloads.filter((workload) => !isLast(workload))];
  await scale(cluster, others, () => 0);
  await untilEnded(cluster, record, 'etcd', (pod) => !isLast(pod), held);
  await scale(cluster, last, () => 0);
  const called = [...new Set(last.map((workload) => besideOf(workload)!.called.itself))].join(' and ');
  if (last.length > 0) await untilEnded(cluster, record, called, () => true, held);
  return true;
}

/**
 * Gives a sleeping plane its pods back and returns when its API answers and all components are ready. Kubelets try for
 * ever, so workers come back by themselves; those that are pods are made again.
 *
 * @returns the plane's public address; undefined when it was awake
 */
export async function wakePlane(cluster: InfraCluster, work: Work): Promise<string | undefined> {
  return withPlane(cluster, 'wake', work, wake, { asleep: 'allowed' });
}

async function wake(plane: HeldPlane): Promise<string | undefined> {
  const { record, held } = plane;
  const { cluster, reporter, timeout, signal } = held;
  const { storage } = plane;
  if (!record.asleep) {
    // A run of an earlier k8sk8s that was killed at its end has left what etcd has by now.
    if (storage.kind === 'ephemeral') await deleteSnapshot(cluster, record.planeId);
    return undefined;
  }
  const { replicas } = record.asleep;
  // Certificates go on ageing.
  const { bundle } = await renewLeaves(cluster, plane, reporter);
  await giveBack({ ...plane, bundle }, record.asleep);
  const all = await workloadsOf(cluster, record);
  const workloads = all.filter((workload) => !isBeside(workload));
  const watch = new PodWatch(cluster, record.planeId);
  try {
    watch.expect(workloads.map((each) => withPods(each, replicas)));
    await publishNotReady(cluster, record.planeId, plane.spec, true);
    const start = (some: Workload[]) => scale(cluster, some, (name) => podsOfAwake(name, replicas));
    const { first, apiServer, clients } = startOrder(workloads, (workload) => workload);
    await start(first);
    await waitEtcdStarts(watch, held);
    await start(apiServer);
    await untilAnswers(plane, watch, held, () => start(clients));
    await waitUsable(cluster, { ...plane, bundle }, watch, held);
    await waitComponentsReady(watch, timeout, signal);
    await publishNotReady(cluster, record.planeId, plane.spec, false);
    await wakeBeside({ ...plane, bundle }, all);
    // Killed here, it sleeps by its record, and the next run goes on.
    if (storage.kind === 'ephemeral') await deleteSnapshot(cluster, record.planeId);
    await updateRecord(held, (now) => ({ ...now, asleep: undefined }));
    return plane.addresses.publicServer;
  } finally {
    watch.close();
  }
}

function podsOfAwake(name: string, replicas: Asleep['replicas']): number {
  return replicas[name] ?? 1;
}

function withPods(workload: Workload, replicas: Asleep['replicas']): Workload {
  return { ...workload, spec: { ...workload.spec, replicas: podsOfAwake(workload.metadata.name, replicas) } };
}

async function untilAnswers(plane: Plane, watch: PodWatch, work: Work, onAnswer: () => Promise<void>): Promise<void> {
  const hosted = await plane.connect({ wakes: true });
  try {
    await connectWhenAvailable(hosted, watch, work, { onAnswer });
  } finally {
    await hosted.close();
  }
}

/**
 * An ephemeral etcd gets its data back before its first pod, and its StatefulSet finds that pod. Done again after a kill as
 * long as nobody can have written to it.
 */
async function giveBack(plane: HeldPlane, asleep: Asleep): Promise<void> {
  const { record, spec, storage, held } = plane;
  const { cluster, reporter, timeout, signal } = held;
  if (!asleep.snapshot || asleep.givenBack) return;
  const awake = { ...record, asleep: undefined };
  const workload = renderPlane({ ...plane, record: awake }).workloads.etcd;
  const snapshot = await storedSnapshot(cluster, asleep.snapshot);
  await reporter.during('Giving etcd its data back', async () => {
    await seedEtcd(cluster, {
      planeId: record.planeId,
      member: 0,
      workload,
      storage,
      nodeImage: imagesOf(spec).node,
      snapshot: { size: snapshot.length, open: () => Readable.from([snapshot]) },
      timeout,
      progress: () => undefined,
      signal,
    });
    await cluster.apply(workload);
    await updateRecord(held, (now) => ({ ...now, asleep: { ...asleep, givenBack: true } }));
  });
}
