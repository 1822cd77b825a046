import { Readable } from 'node:stream';
import { UserError } from '../../base/errors.ts';
import { mebibytes } from '../../base/quantity.ts';
import { command, words } from '../../base/words.ts';
import { imagesOf } from '../../config/images.ts';
import { EtcdGateway } from '../../etcd/gateway.ts';
import {
  apply,
  deleteClaim,
  deletePod,
  type EtcdPlane,
  podReady,
  statefulSet,
  waitForMembers,
} from '../../etcd/members.ts';
import { seedEtcd, seedPod } from '../../etcd/seed.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { Pod } from '../../kube/objects.ts';
import type { Plane } from '../../live/open.ts';
import { podsOf } from '../../live/pods.ts';
import { endAllButEtcd } from '../../rollout/stop.ts';
import type { Phase } from '../../ui/reporter.ts';
import type { Work } from '../../ui/work.ts';

/** What a cluster without a majority goes on with. */
export interface Remains {
  /** The member with the newest data of those that answer: `etcd-0`. */
  survivor: string;
  /** Of the survivor, when it was asked. */
  revision: number;
  /** Members that do not answer; the first of them takes the survivor's data. */
  lost: string[];
}

/**
 * A new cluster of one member with the data of the survivor, which is left as it is, so that a killed run begins anew. The
 * revisions of the new cluster are far ahead of all that were given out: the survivor may lack the last of them, and
 * nobody is to take another change for one that he has seen.
 *
 * Nothing can be acknowledged that the new cluster would not have: the API servers are gone before the snapshot is
 * taken, and the members that do not answer are gone before the new cluster begins.
 *
 * @throws UserError `restore-failed`, `etcd-member`, `not-gone`
 */
export async function seedFromSurvivor(
  etcd: EtcdPlane,
  { record, spec, storage, bundle }: Plane,
  { survivor, lost }: Remains,
  work: Work,
): Promise<void> {
  const { cluster } = etcd;
  const target = numberIn(lost[0]!);
  await endAllButEtcd(cluster, record, work);
  await releasePods(etcd);
  for (const pod of await podsOf(cluster, record.planeId, 'etcd'))
    if (lost.includes(pod.metadata.name)) await deletePod(etcd, pod);
  const left = await cluster.get<Pod>(seedPod, seedPod.metadata.name);
  if (left) await deletePod(etcd, left);
  await deleteClaim(etcd, target);
  const gateway = EtcdGateway.ofPod(cluster, bundle, survivor);
  const { revision } = await gateway.status(work.signal);
  // Who has no data is told of no cluster that it could take itself for a member of, and so cannot begin an empty one.
  const membership = { pods: spec.etcdMembers, members: [target], joining: true };
  const give = async (phase: Phase) => {
    const { size, chunks } = await gateway.snapshot(work.signal);
    await seedEtcd(cluster, {
      planeId: record.planeId,
      member: target,
      workload: etcd.build(membership),
      storage,
      nodeImage: imagesOf(spec).node,
      snapshot: { size, open: () => Readable.from(chunks) },
      timeout: work.timeout,
      progress: (bytes) => phase.update(`${mebibytes(bytes)} of ${mebibytes(size)} MiB`),
      signal: work.signal,
    });
    await apply(etcd, membership);
    await podReady(etcd, lost[0]!);
    await prove(EtcdGateway.ofPod(cluster, bundle, lost[0]!), revision, cluster, work.signal);
  };
  await work.reporter.during(
    `Giving ${lost[0]} the data of ${survivor}`,
    give,
    `${lost[0]} has the data of ${survivor}, up to revision ${revision}`,
  );
}

export function numberIn(member: string): number {
  return Number(member.replace('etcd-', ''));
}

/** The pods without their StatefulSet: it would make those anew that must not come back, and knows no order among them. */
async function releasePods(etcd: EtcdPlane): Promise<void> {
  const before = await statefulSet(etcd);
  if (!before) return;
  await etcd.cluster.deleteAlone(before, before.metadata.name, before.metadata.uid);
  await waitForMembers(etcd, 'statefulset "etcd" is deleted', async () => (await statefulSet(etcd)) === undefined);
}

async function prove(
  gateway: EtcdGateway,
  revision: number,
  { namespace }: InfraCluster,
  signal: AbortSignal,
): Promise<void> {
  const now = await gateway.status(signal);
  if (now.revision > revision) return;
  throw new UserError({
    what: 'the new member of etcd came up without the data of the one that is left',
    why: `it is at revision ${now.revision}, and that one at ${revision}`,
    fix: words`nothing is lost: run ${command('etcd repair', namespace)} again; report this if it stays so`,
    anchor: 'restore-failed',
  });
}
