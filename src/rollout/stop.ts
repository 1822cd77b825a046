import { UserError } from '../base/errors.ts';
import { again, words } from '../base/words.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Pod, Workload } from '../kube/objects.ts';
import { Existing } from '../live/apply.ts';
import { endApiServers, isApiServer, podsOf } from '../live/pods.ts';
import { isBeside } from '../plane/beside/lookup.ts';
import { belongsTo } from '../plane/names.ts';
import type { PlaneRecord } from '../plane/record.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Work } from '../ui/work.ts';

/** Ends the pods of all components but etcd, and of nothing beside the plane; nothing is written to etcd from then on. */
export async function endAllButEtcd(cluster: InfraCluster, record: PlaneRecord, work: Work): Promise<void> {
  const workloads = (await workloadsOf(cluster, record)).filter(isNotEtcd);
  await Promise.all([
    scale(
      cluster,
      workloads.filter((workload) => !isApiServer(workload)),
      () => 0,
    ),
    workloads.some(isApiServer) && endApiServers(cluster, record.planeId),
  ]);
  await untilEnded(cluster, record, 'all but etcd', isNotEtcd, work);
}

export async function workloadsOf(cluster: InfraCluster, { planeId }: PlaneRecord): Promise<Workload[]> {
  const existing = await Existing.read(cluster);
  return [...existing.ofKind<Workload>('StatefulSet'), ...existing.ofKind<Workload>('Deployment')].filter((object) =>
    belongsTo(object, planeId),
  );
}

/** The number of pods, and nothing else: what somebody changed about them stays as it is. */
export async function scale(cluster: InfraCluster, workloads: Workload[], to: (name: string) => number): Promise<void> {
  await Promise.all(
    workloads.map(({ apiVersion, kind, metadata: { name } }) =>
      cluster.merge({ apiVersion, kind }, name, { spec: { replicas: to(name) } }),
    ),
  );
}

function isNotEtcd({ metadata }: Workload | Pod): boolean {
  const { name, labels } = metadata;
  return (labels?.['app.kubernetes.io/name'] ?? name) !== 'etcd' && !isBeside({ metadata });
}

/** @param what words for the pods, in the singular */
export async function untilEnded(
  cluster: InfraCluster,
  record: PlaneRecord,
  what: string,
  which: (pod: Pod) => boolean,
  { reporter, timeout, signal }: Work,
): Promise<void> {
  let left: string[] = [];
  const ended = async () => {
    const pods = (await podsOf(cluster, record.planeId)).filter(which);
    left = pods.map(({ metadata }) => metadata.name);
    return left.length === 0;
  };
  await reporter.during(`Waiting until ${what} has ended`, (phase) =>
    waitFor({
      until: ended,
      now: () => left.join(', '),
      phase,
      timeout,
      signal,
      every: 100,
      late: (after) =>
        new UserError({
          what: `pods of the plane are still there after ${after}: ${left.join(', ')}`,
          why: 'something holds them: a node that does not answer, or a finalizer',
          fix: words`look at them with kubectl -n ${cluster.namespace} describe pod, then ${again}`,
          anchor: 'not-gone',
        }),
    }),
  );
}

/**
 * An API server that is asked to end goes on for seconds with whoever is connected, by the keys and certificates of before, and counts no
 * more for its Deployment.
 */
export async function untilEarlierApiServersEnded(
  cluster: InfraCluster,
  record: PlaneRecord,
  what: string,
  work: Work,
): Promise<void> {
  const leaves = ({ metadata }: Pod) =>
    metadata.deletionTimestamp !== undefined && metadata.labels?.['app.kubernetes.io/name'] === 'kube-apiserver';
  if ((await podsOf(cluster, record.planeId)).some(leaves)) await untilEnded(cluster, record, what, leaves, work);
}
