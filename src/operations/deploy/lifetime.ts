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
import { render } from '../../manifests/render.ts';
import { planeKindOf, planeKinds } from '../../plane/kinds.ts';
import { lifetimeKind, lifetimeName, partOf } from '../../plane/names.ts';
import { containerSecurity, podSecurity } from '../../plane/pod-security.ts';
import { lifetimeRights, missingRights } from '../../preflight/rights.ts';
import { waitAtMost, waitFor } from '../../ui/wait-for.ts';
import lifetimeTemplate from './lifetime.yaml';

/** When a plane is to end by itself, or that it is not to; undefined leaves that as it is. */
export type WantedLifetime = { at: Date } | 'endless' | undefined;

/**
 * Changes when the plane of the namespace ends: at a time, or never. For a new plane, this comes before its first object.
 *
 * @returns the same work, whose writes name the plane's owner, or none
 * @throws UserError `rights`, and `lifetime` when the plane has just ended
 */
export async function settleLifetime(held: Held, wanted: WantedLifetime, spec: ClusterSpec): Promise<Held> {
  if (wanted === undefined) return held;
  await requireRights(held.cluster);
  if (wanted === 'endless') {
    await takeOff(held);
    return { ...held, cluster: held.cluster.ownedBy(undefined) };
  }
  const owner = ownerReference(await ensureJob(held, wanted.at, spec));
  // All objects of an existing plane get the owner now, so that all or none are deleted, even if this run fails.
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
    // The deadline counts from the moment at which the Job controller saw the Job, which is in the Job's status afterwards.
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
        `the infra cluster's Job controller has not started the job "${lifetimeName}" yet: the plane ends later by the time until it does`,
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
  const [job] = render(
    lifetimeTemplate,
    {
      labels: { 'app.kubernetes.io/part-of': partOf, 'app.kubernetes.io/managed-by': partOf },
      seconds,
      image: imagesOf(spec).node,
      podSecurity: podSecurity(spec),
      containerSecurity: containerSecurity(),
    },
    'deploy/lifetime.yaml',
  );
  return job as Job;
}

/**
 * Makes the plane endless. The deadline is removed first, so that no half of the plane is deleted; then the owner of every
 * object, which is read again; and the Job last, when it owns nothing. A killed run continues when it is run again.
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
  // The garbage collector orphans objects that this k8sk8s does not know, such as those of a newer one.
  await cluster.deleteAlone(lifetimeKind, lifetimeName, owner.uid);
  await waitFor({
    until: async () => (await readLifetimeJob(cluster))?.metadata.uid !== owner.uid,
    timeout: 30_000,
    signal,
    late: (after) => stillOwned([job], cluster.namespace, after),
  });
  reporter.line('The plane does not end by itself any more');
}

/** All objects of the namespace of kinds that belong to planes, whoever made them. */
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
    why: 'another program writes these objects at the same moment, or a finalizer holds the job. The deadline is removed, so the plane does not end',
    fix: words`${again} with ${option('ttl', 'none')}; do not delete the job by hand, because the plane would be deleted with it (kubectl -n ${namespace} describe job ${lifetimeName})`,
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
