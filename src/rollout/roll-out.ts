import { presentMembers, replaceOutdated } from '../etcd/members.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { KubeObject, Secret, Workload } from '../kube/objects.ts';
import { type Applied, applyAll, Existing, nothingApplied } from '../live/apply.ts';
import type { Plane } from '../live/open.ts';
import { PodWatch } from '../live/pod-watch.ts';
import type { PkiBundle } from '../pki/certificates.ts';
import { settledMembership } from '../plane/components/etcd/membership.ts';
import type { Component } from '../plane/components/lookup.ts';
import { renderPlane } from '../plane/render.ts';
import type { Reporter } from '../ui/reporter.ts';
import type { Work } from '../ui/work.ts';
import { waitAvailable, waitRolledOut } from './available.ts';

/**
 * Secrets, the authorities' first: what a component may use already has to be where the next run will look for it.
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
  await applyAll(cluster, planeId, others, existing, applied, reporter);
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
  diagnosis: PodWatch,
  work: Work,
): Promise<void> {
  const { timeout, signal } = work;
  const statefulSet = now.some(isStatefulSet) && built.find(isStatefulSet);
  await Promise.all([
    statefulSet &&
      replaceOutdated({ cluster, planeId, failure: () => diagnosis.failure, timeout, signal }, statefulSet),
    waitRolledOut(
      cluster,
      now.filter(({ kind }) => kind === 'Deployment'),
      diagnosis,
      work,
    ),
  ]);
}

const isStatefulSet = ({ kind }: KubeObject): boolean => kind === 'StatefulSet';

/**
 * Gives a plane other certificates or keys, and makes the pods of `components` anew where they have to be; returns when
 * all of them run by what they were given and the API answers.
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
  const diagnosis = new PodWatch(cluster, planeId);
  const hosted = await plane.connect();
  try {
    diagnosis.expect(workloads);
    await applySecrets(cluster, planeId, rendered.secrets, existing, applied, reporter);
    const now = (await applyAll(cluster, planeId, workloads, existing, applied, reporter)) as Workload[];
    await waitReplaced(cluster, planeId, now, workloads, diagnosis, work);
    await reporter.during(
      'Waiting until the hosted API answers',
      (phase) => waitAvailable(hosted, diagnosis, { timeout, phase, signal }),
      'The hosted API answers',
    );
    return applied;
  } finally {
    diagnosis.close();
    await hosted.close();
  }
}
