import { presentMembers, replaceOutdated } from '../etcd/members.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { type KubeObject, nameOf, type Secret, type Workload } from '../kube/objects.ts';
import { type Applied, applyAll, Existing, nothingApplied } from '../live/apply.ts';
import type { Plane } from '../live/open.ts';
import { PodWatch } from '../live/pod-watch.ts';
import { podsOf } from '../live/pods.ts';
import type { PkiBundle } from '../pki/certificates.ts';
import { settledMembership } from '../plane/components/etcd/membership.ts';
import type { Component } from '../plane/components/lookup.ts';
import { components } from '../plane/components/table.ts';
import { belongsTo } from '../plane/names.ts';
import { isCertificate } from '../plane/read-at-start.ts';
import { renderPlane } from '../plane/render.ts';
import { secretsByContent } from '../plane/secrets.ts';
import { isStartFiles, secretsMountedBy, startFilesOf } from '../plane/start-files.ts';
import type { Reporter } from '../ui/reporter.ts';
import type { Work } from '../ui/work.ts';
import { waitAvailable, waitRolledOut } from './available.ts';
import { untilEarlierApiServersEnded } from './stop.ts';

/**
 * Secrets, the authorities' first: what a component may use already has to be where the next run will look for it. Files that are
 * to go stay until `tidyStartFiles` sees that no pod may read them.
 *
 * @param secrets as `renderPlane` gives them
 */
export async function applySecrets(
  cluster: InfraCluster,
  planeId: string,
  [authorities, ...others]: Secret[],
  existing: Existing,
  applied: Applied,
  reporter: Reporter,
): Promise<void> {
  await applyAll(cluster, planeId, [authorities!], existing, applied, reporter);
  const kept = others.map((secret) => ({ ...secret, data: { ...startFilesIn(secret, existing), ...secret.data } }));
  await applyAll(cluster, planeId, kept, existing, applied, reporter);
}

/** Start files that a Secret of 0.1.0, whose name is not of its content, still has. */
function startFilesIn(secret: Secret, existing: Existing): Record<string, string> {
  if (!secretsByContent.includes(secret.metadata.name)) return {};
  const there = existing.find<Secret>(secret);
  return Object.fromEntries(Object.entries(there?.data ?? {}).filter(([file]) => !isCertificate(file, there!)));
}

/**
 * Takes away the start files that no pod reads any more, nor one that is made again in its place: those that this run found, and
 * that are not among `secrets`.
 *
 * @param secrets as `renderPlane` gives them
 * @param existing what the namespace held before this run
 */
export async function tidyStartFiles(
  cluster: InfraCluster,
  planeId: string,
  secrets: Secret[],
  existing: Existing,
  reporter: Reporter,
): Promise<void> {
  const isWanted = (name: string) => secrets.some(({ metadata }) => metadata.name === name);
  const left = existing
    .ofKind<Secret>('Secret')
    .filter((secret) => isStartFiles(secret) && belongsTo(secret, planeId) && !isWanted(secret.metadata.name));
  const full = secrets.filter((secret) => Object.keys(startFilesIn(secret, existing)).length > 0);
  if (left.length + full.length === 0) return;
  const mounts = await mountsNow(cluster, planeId);
  for (const secret of left) {
    const { name, uid } = secret.metadata;
    if (mounts.some((names) => names.has(name))) continue;
    await cluster.delete(secret, name, uid);
    reporter.line(`${nameOf(secret)} deleted`);
  }
  for (const secret of full) {
    const named = secrets.find(({ metadata }) => metadata.labels?.[startFilesOf] === secret.metadata.name)!;
    const own = mounts.filter((names) => names.has(secret.metadata.name));
    if (own.every((names) => names.has(named.metadata.name))) await cluster.apply(secret);
  }
}

/** Names of the Secrets that each pod mounts, and each one that a workload would make. A pod that ends starts nothing any more. */
async function mountsNow(cluster: InfraCluster, planeId: string): Promise<Set<string>[]> {
  const [pods, ...workloads] = await Promise.all([
    podsOf(cluster, planeId),
    ...components.map(({ kind, name }) => cluster.get<Workload>({ apiVersion: 'apps/v1', kind }, name)),
  ]);
  return [
    ...pods.filter(({ metadata }) => !metadata.deletionTimestamp),
    ...workloads.filter((each) => each !== undefined),
  ].map(secretsMountedBy);
}

/**
 * Waits until the pods of workloads are of what was applied: Deployments see to that themselves; etcd's pods are replaced
 * here, one after the other, since its StatefulSet leaves them as they are.
 *
 * @param now what was applied, as the server has it
 * @param built the workloads as they were rendered
 * @throws UserError with the cause when the new pods do not come up
 */
export async function waitReplaced(
  cluster: InfraCluster,
  planeId: string,
  now: Workload[],
  built: KubeObject[],
  watch: PodWatch,
  work: Work,
): Promise<void> {
  const { timeout, signal } = work;
  const statefulSet = now.some(isStatefulSet) && built.find(isStatefulSet);
  await Promise.all([
    statefulSet && replaceOutdated({ cluster, planeId, failure: () => watch.failure, timeout, signal }, statefulSet),
    waitRolledOut(
      cluster,
      now.filter(({ kind }) => kind === 'Deployment'),
      watch,
      work,
    ),
  ]);
}

const isStatefulSet = ({ kind }: KubeObject): boolean => kind === 'StatefulSet';

/**
 * Gives a plane other certificates or keys, and makes the pods of `components` anew where they have to be; returns when
 * all of them run by what they were given, those of before have ended, and the API answers.
 *
 * @throws UserError with the cause when the new pods do not come up
 */
export async function rollOut(
  cluster: InfraCluster,
  plane: Plane,
  bundle: PkiBundle,
  rolled: Component[],
  work: Work,
): Promise<Applied> {
  const { reporter, timeout, signal } = work;
  const { planeId } = plane.record;
  const applied = nothingApplied();
  const existing = await Existing.read(cluster);
  // A deploy that was killed may have made more members than the record says: they vote, and are not taken away here.
  const membership = settledMembership(
    Math.max(presentMembers(existing), plane.spec.etcdMembers),
    plane.record.phase === 'available',
  );
  const rendered = renderPlane({ ...plane, bundle, membership });
  const workloads = rolled.map((component) => rendered.workloads[component]);
  const watch = new PodWatch(cluster, planeId);
  const hosted = await plane.connect();
  try {
    watch.expect(workloads);
    await applySecrets(cluster, planeId, rendered.secrets, existing, applied, reporter);
    const now = (await applyAll(cluster, planeId, workloads, existing, applied, reporter)) as Workload[];
    await waitReplaced(cluster, planeId, now, workloads, watch, work);
    // By an earlier key it goes on accepting tokens, and writing Secrets that nobody can read once that key is gone.
    await untilEarlierApiServersEnded(cluster, plane.record, 'the API server with the earlier files', work);
    await reporter.during(
      'Waiting until the hosted API answers',
      (phase) => waitAvailable(hosted, watch, { timeout, phase, signal }),
      'The hosted API answers',
    );
    await tidyStartFiles(cluster, planeId, rendered.secrets, existing, reporter);
    return applied;
  } finally {
    watch.close();
    await hosted.close();
  }
}
