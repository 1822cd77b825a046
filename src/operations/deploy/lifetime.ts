import { UserError } from '../../base/errors.ts';
import { again, option, words } from '../../base/words.ts';
import { imagesOf } from '../../config/images.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { explainCallError } from '../../kube/errors.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import { type Job, type KubeObject, nameOf } from '../../kube/objects.ts';
import type { Held } from '../../live/held.ts';
import {
  adoptAll,
  changeOwners,
  isOver,
  isOwnedBy,
  lifeEnded,
  ownerReference,
  readLifetimeJob,
} from '../../live/lifetime.ts';
import { renderTemplate } from '../../manifests/render.ts';
import { planeKindOf, planeKinds } from '../../plane/kinds.ts';
import { lifetimeKind, lifetimeName, partOf } from '../../plane/names.ts';
import { containerSecurity, podSecurity } from '../../plane/pod-security.ts';
import { lifetimeRights, missingRights } from '../../preflight/rights.ts';
import { waitAtMost, waitFor } from '../../ui/wait-for.ts';

/** When a plane is to end by itself, or that it is not to; undefined leaves that as it is. */
export type WantedLifetime = { at: Date } | 'endless' | undefined;

/**
 * Gives the plane of the namespace another life than it has: one that ends at a time, or one that does not end. Of a plane that
 * is still to be made, the life begins before its first object.
 *
 * @returns the same work, whose writes name the plane's owner, or none
 * @throws UserError `rights`, and `lifetime` when the life that it has has just ended
 */
export async function settleLifetime(held: Held, wanted: WantedLifetime, spec: ClusterSpec): Promise<Held> {
  if (wanted === undefined) return held;
  await requireRights(held.cluster);
  if (wanted === 'endless') {
    await takeOff(held);
    return { ...held, cluster: held.cluster.ownedBy(undefined) };
  }
  const owner = ownerReference(await ensureJob(held, wanted.at, spec));
  // Of a plane that is there, all ends or nothing, whatever becomes of the rest of this run.
  await adoptAll(held.cluster, owner);
  return { ...held, cluster: held.cluster.ownedBy(owner) };
}

async function ensureJob({ cluster, signal, reporter }: Held, at: Date, spec: ClusterSpec): Promise<Job> {
  const secondsFrom = (begin: number) => Math.max(1, Math.round((at.getTime() - begin) / 1000));
  const present = await readLifetimeJob(cluster);
  if (present && isOver(present)) throw lifeEnded(cluster.namespace);
  const started = (job: Job | undefined) => job?.status?.startTime;
  const own = cluster.ownedBy(undefined);
  try {
    const job = await own.apply<Job>(buildJob(spec, secondsFrom(Date.parse(started(present) ?? '') || Date.now())));
    if (present) return job;
    // The deadline counts from when the Job controller saw the Job, which is known once it did.
    const begun = await waitAtMost({
      until: async () => {
        const now = await readLifetimeJob(cluster);
        return started(now) ? now : undefined;
      },
      timeout: 5000,
      signal,
    });
    if (!begun) {
      reporter.warn(
        `the infra cluster's Job controller has not begun to count the plane's time: the plane ends as much later as that begins later`,
      );
      return job;
    }
    return await own.apply<Job>(buildJob(spec, secondsFrom(Date.parse(started(begun)!))));
  } catch (error) {
    throw explainCallError(error, `apply job "${lifetimeName}" in namespace "${cluster.namespace}"`);
  }
}

/** Pure. @param seconds from when the Job controller sees it */
function buildJob(spec: ClusterSpec, seconds: number): Job {
  const [job] = renderTemplate('plane/lifetime.yaml', {
    labels: { 'app.kubernetes.io/part-of': partOf, 'app.kubernetes.io/managed-by': partOf },
    seconds,
    image: imagesOf(spec).node,
    podSecurity: podSecurity(spec),
    containerSecurity: containerSecurity(),
  });
  return job as Job;
}

/**
 * The plane goes on for ever. First the deadline goes, so that nothing ends half-way; then the owner of every object, which is
 * looked at again; and the Job only when it owns nothing any more. Killed anywhere and run again, it goes on.
 */
async function takeOff({ cluster, reporter, signal }: Held): Promise<void> {
  const job = await readLifetimeJob(cluster);
  if (!job) return;
  if (isOver(job)) throw lifeEnded(cluster.namespace);
  const owner = ownerReference(job);
  const now = await cluster.merge<Job>(lifetimeKind, lifetimeName, {
    metadata: { uid: owner.uid },
    spec: { activeDeadlineSeconds: null },
  });
  if (isOver(now)) throw lifeEnded(cluster.namespace);
  const owned = async () => (await everything(cluster)).filter((object) => isOwnedBy(object, owner));
  for (const object of await owned())
    await changeOwners(cluster, object, (owners) => owners.filter(({ uid }) => uid !== owner.uid));
  const left = await owned();
  if (left.length > 0) throw stillOwned(left, cluster.namespace);
  // The garbage collector orphans what this k8sk8s cannot know of, such as what a newer one has made.
  await cluster.deleteAlone(lifetimeKind, lifetimeName, owner.uid);
  await waitFor({
    until: async () => (await readLifetimeJob(cluster))?.metadata.uid !== owner.uid,
    timeout: 30_000,
    signal,
    late: (after) => stillOwned([job], cluster.namespace, after),
  });
  reporter.line('The plane does not end by itself any more');
}

/** Everything of the namespace that a plane can own something of, whoever made it. */
async function everything(cluster: InfraCluster): Promise<KubeObject[]> {
  const others = [
    { apiVersion: 'batch/v1', kind: 'CronJob' },
    { apiVersion: 'v1', kind: 'Pod' },
    { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' },
  ].filter((kind) => !planeKindOf(kind));
  return (await Promise.all([...planeKinds, ...others].map(async (kind) => (await cluster.list(kind)).items))).flat();
}

function stillOwned(left: KubeObject[], namespace: string, after?: string): UserError {
  return new UserError({
    what: `the plane still belongs to its job "${lifetimeName}"${after ? ` after ${after}` : ''}: ${left.map(nameOf).join(', ')}`,
    why: 'somebody writes these objects at the same moment, or a finalizer holds the job. The deadline is off: the plane does not end',
    fix: words`${again} with ${option('ttl', 'none')}; do not delete the job by hand, it would take the plane along (kubectl -n ${namespace} describe job ${lifetimeName})`,
    anchor: 'lifetime',
  });
}

async function requireRights(cluster: InfraCluster): Promise<void> {
  const { verbs } = await missingRights(cluster, lifetimeRights);
  if (verbs.length === 0) return;
  throw new UserError({
    what: `rights are missing in namespace "${cluster.namespace}": ${verbs.join('; ')}`,
    why: 'a plane that ends by itself belongs to a Job',
    fix: words`ask the administrator of the infra cluster for templates/rights/namespace-admin.yaml, or leave ${option('ttl')} out; nothing was changed`,
    anchor: 'rights',
    kind: 'refused',
  });
}
