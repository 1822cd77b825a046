import { UserError } from '../base/errors.ts';
import { toolVersion } from '../base/version.ts';
import { again, option, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { type EtcdPlane, etcdPlane, growTo, presentMembers, shrinkTo } from '../etcd/members.ts';
import { explainCallError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { type KubeObject, nameOf, type Pod, type Workload } from '../kube/objects.ts';
import { type Applied, applyAll, type Existing } from '../live/apply.ts';
import { mayHoldCluster } from '../live/choose-storage.ts';
import { growClaims } from '../live/grow-claims.ts';
import type { Held } from '../live/held.ts';
import type { PodWatch } from '../live/pod-watch.ts';
import { podsOf } from '../live/pods.ts';
import { updateRecord } from '../live/record.ts';
import { sealingOf } from '../live/sealed-ca.ts';
import { ensureCertificates } from '../pki/certificates.ts';
import type { Addresses } from '../plane/addresses.ts';
import { isBeside } from '../plane/beside/lookup.ts';
import type { PlaneComponent } from '../plane/components/component.ts';
import { settledMembership } from '../plane/components/etcd/membership.ts';
import type { Component } from '../plane/components/lookup.ts';
import { components } from '../plane/components/table.ts';
import { planeKinds } from '../plane/kinds.ts';
import { belongsTo } from '../plane/names.ts';
import type { PlaneRecord } from '../plane/record.ts';
import { certificateContext, type PlaneSource, renderPlane } from '../plane/render.ts';
import { isStartFiles } from '../plane/start-files.ts';
import type { Storage, Volume } from '../plane/storage.ts';
import { templateHash, templateHashOf } from '../plane/workloads.ts';
import { waitFor } from '../ui/wait-for.ts';
import { waitRolledOut } from './available.ts';
import type { Preparation } from './prepare.ts';
import { applySecrets, tidyStartFiles, waitReplaced } from './roll-out.ts';
import { startOrder, waitEtcdStarts } from './start-order.ts';

/** A plane of which is known what it follows from, and what was asked for besides its spec. */
export interface PlaneInMaking extends PlaneSource, Pick<Preparation, 'cluster' | 'existing'> {
  readonly held: Held;
  readonly applied: Applied;
  readonly watch: PodWatch;
  /** Of what the plane is to have no more, what a later step takes away. */
  readonly keeps?: (object: KubeObject) => boolean;
  /** Whether etcd's pod may be replaced although its data goes with it. */
  readonly allowDataLoss: boolean;
  /** Fills etcd's storage before its first pod, of a plane whose record says `restoring`; preflight was run before. */
  readonly restores?: (etcd: { workload: KubeObject; storage: Storage }, signal: AbortSignal) => Promise<void>;
}

/**
 * Secrets first, so that no kubelet looks for one in vain; then etcd and what runs already. An API server that does not
 * run yet comes as soon as etcd is about to, its clients when it answers.
 *
 * @returns starts those clients: for when the API server answers for the first time
 */
export async function ensureControlPlane(plane: PlaneInMaking): Promise<() => Promise<void>> {
  const { held, cluster, record, spec, addresses, storage, existing, applied, watch, allowDataLoss } = plane;
  const { reporter, timeout, signal } = held;
  const present = presentMembers(existing);
  const membership = settledMembership(Math.max(present, spec.etcdMembers), record.phase === 'available');
  const rendered = renderPlane({ ...plane, membership });
  const { secrets, policies, disruptionBudgets, further } = rendered;
  const workloads = Object.values(rendered.workloads);
  if (storage.kind === 'ephemeral' && !allowDataLoss)
    await refuseDataLoss(cluster, record, rendered.workloads.etcd, existing);
  watch.expect(workloads);
  // The record of a plane that was available keeps the spec that worked until the new one does too.
  if (record.phase === 'deploying') await recordSpec(held, spec, addresses, 'deploying');
  await applySecrets(cluster, record.planeId, secrets, existing, applied, reporter);
  if (plane.restores && record.phase === 'restoring') {
    await plane.restores({ workload: rendered.workloads.etcd, storage }, signal);
    // It holds a cluster again: from here on `deploy` goes on with it, and never begins anew.
    await recordSpec(held, spec, addresses, 'available');
  }
  const apply = (objects: KubeObject[]) => applyAll(cluster, record.planeId, objects, existing, applied, reporter);
  // A pod may need what its component has besides: its ServiceAccount, say.
  await apply(further);
  const etcd = etcdOf(plane);
  for (const name of await growClaims(cluster, existing, record, storage, spec.etcdMembers)) {
    applied.changed.push(`persistentvolumeclaim "${name}"`);
    reporter.line(
      `persistentvolumeclaim "${name}" asks for ${(storage as Volume).size}: etcd may use it once the volume has it`,
    );
  }
  const several = present > 0 && Math.max(present, spec.etcdMembers) > 1;
  if (several && (record.phase === 'available' || present !== spec.etcdMembers)) await growTo(etcd, spec.etcdMembers);
  await endUnelected(plane, rendered.workloads);
  const { first, apiServer, clients } = startOrder(workloads, (workload) => existing.find<Workload>(workload));
  const now = await apply([...first, ...policies, ...disruptionBudgets]);
  watch.applied(now, (object) => existing.find(object));
  // Of a plane that was there, the old pods still answer: nothing that they say counts.
  const were = now.filter((object) => existing.find(object)) as Workload[];
  await waitReplaced(cluster, record.planeId, were, workloads, watch, {
    reporter,
    timeout,
    signal,
  });
  if (apiServer.length > 0) {
    await waitEtcdStarts(watch, held);
    await apply(apiServer);
  }
  if (present > spec.etcdMembers) await dropMembers(plane, etcd, present);
  await removeUnwanted(plane, rendered.all());
  await tidyStartFiles(cluster, record.planeId, secrets, existing, reporter);
  return async () => {
    await apply(clients);
  };
}

/** The members have formed their cluster: from now on none of them may form another. */
export async function closeCluster(plane: PlaneInMaking): Promise<void> {
  const { cluster, record, spec } = plane;
  if (spec.etcdMembers === 1) return;
  const formed = { ...record, phase: 'available' as const };
  const { workloads } = renderPlane({ ...plane, record: formed });
  await cluster.apply(workloads.etcd);
}

function etcdOf(plane: PlaneInMaking): EtcdPlane {
  return etcdPlane(plane.cluster, plane, plane.held, () => plane.watch.failure);
}

/** The API servers know by now whom not to ask any more. */
async function dropMembers(plane: PlaneInMaking, etcd: EtcdPlane, present: number): Promise<void> {
  const { cluster, record, spec, addresses, bundle, existing, applied, watch, held } = plane;
  await shrinkTo(etcd, spec.etcdMembers, present);
  const etcdServiceIps = addresses.etcdServiceIps.slice(0, spec.etcdMembers);
  const left = { ...addresses, etcdServiceIps };
  const { bundle: kept } = await ensureCertificates(bundle, certificateContext(cluster.namespace, spec, left), {
    keyType: spec.keyType,
    sealing: sealingOf(spec, cluster),
  });
  const rendered = renderPlane({ ...plane, addresses: left, bundle: kept });
  const workloads = Object.values(rendered.workloads);
  watch.expect(workloads);
  const now = await applyAll(
    cluster,
    record.planeId,
    [...rendered.secrets, ...workloads],
    existing,
    applied,
    held.reporter,
  );
  // The old API servers answer until the new ones are Ready.
  const deployments = now.filter(({ kind }) => kind === 'Deployment') as Workload[];
  await waitRolledOut(cluster, deployments, watch, held);
}

/** What only a larger plane had, or one with another --egress or --expose. */
async function removeUnwanted(plane: PlaneInMaking, wanted: KubeObject[]): Promise<void> {
  const { record, existing, keeps } = plane;
  const unwanted = planeKinds
    .filter(({ holdsData }) => !holdsData)
    .flatMap(({ kind }) => existing.ofKind(kind))
    .filter((object) => belongsTo(object, record.planeId) && !isStartFiles(object))
    // Workers are drained before they go, which needs the hosted API; what is beside the plane goes in its own step.
    .filter((object) => !isBeside(object) && !keeps?.(object))
    .filter(
      (object) => !wanted.some(({ kind, metadata }) => kind === object.kind && metadata.name === object.metadata.name),
    );
  await removeObjects(plane, unwanted);
}

/** Deletes objects of the plane, and says so. */
export async function removeObjects(
  { cluster, applied, held }: Pick<PlaneInMaking, 'cluster' | 'applied' | 'held'>,
  objects: KubeObject[],
): Promise<void> {
  for (const object of objects) {
    await cluster.delete(object, object.metadata.name, object.metadata.uid).catch((error: unknown) => {
      throw explainCallError(error, `delete ${nameOf(object)} in namespace "${cluster.namespace}"`);
    });
    applied.changed.push(nameOf(object));
    held.reporter.line(`${nameOf(object)} deleted`);
  }
}

/**
 * Controller-managers and schedulers that elect a leader and one that does not must never run at the same time: where
 * that changes, the old ones are gone before the new ones come.
 */
async function endUnelected(
  { cluster, record, existing, held }: PlaneInMaking,
  workloads: Record<Component, Workload>,
): Promise<void> {
  for (const { name: component } of components.filter(({ electsLeader }: PlaneComponent) => electsLeader)) {
    const next = workloads[component];
    const before = existing.find<Workload>(next);
    if (!before || elects(before) === elects(next)) continue;
    await cluster.apply({ ...next, spec: { ...next.spec, replicas: 0 } });
    await waitFor({
      until: async () => (await podsOf(cluster, record.planeId, component)).length === 0,
      timeout: held.timeout,
      signal: held.signal,
      late: (after) =>
        new UserError({
          what: `the old pod of ${component} has not ended within ${after}`,
          why: 'it does not elect a leader, and must be gone before others do',
          fix: words`look at: kubectl -n ${cluster.namespace} get pods; then ${again}`,
          anchor: 'not-gone',
        }),
    });
  }
}

function elects({ metadata, spec }: Workload): boolean {
  const own = spec.template.spec.containers.find(({ name }) => name === metadata.name);
  return own?.args?.includes('--leader-elect=true') ?? false;
}

/**
 * A pod of another template is replaced, and an ephemeral etcd's data lives and dies with its pod. A container that ends or is not
 * Ready keeps it.
 */
export async function refuseDataLoss(
  cluster: InfraCluster,
  record: PlaneRecord,
  etcd: Workload,
  existing: Existing,
): Promise<void> {
  if (!mayHoldCluster(record, existing)) return;
  const pods = await podsOf(cluster, record.planeId, 'etcd');
  const replaced = pods.filter(
    ({ metadata }) => !metadata.deletionTimestamp && metadata.annotations?.[templateHash] !== templateHashOf(etcd),
  );
  if (!replaced.some(mayHoldData)) return;
  throw new UserError({
    what: 'this change replaces the pod of etcd, and all objects of the hosted cluster would be lost with it',
    why: 'the plane keeps its data in that pod (ephemeral storage); an option of etcd, its image or its place was changed',
    fix: words`leave those options as they were, or add ${option('yes')} when nothing in the hosted cluster is worth keeping; a plane with ${field('etcdStorage', 'SIZE')} keeps its data`,
    anchor: 'data-loss',
    kind: 'refused',
  });
}

/** But for one whose etcd has never run, as without a node or an image; steps before etcd may have filled it. */
function mayHoldData({ spec, status }: Pod): boolean {
  const etcd = status?.containerStatuses?.find(({ name }) => name === 'etcd');
  const waits =
    etcd === undefined ? status?.phase === 'Pending' : etcd.state?.waiting !== undefined && !etcd.lastState?.terminated;
  return !waits || (etcd?.restartCount ?? 0) > 0 || (spec.initContainers ?? []).length > 0;
}

/** Notes how the plane is deployed by now; what else the record says stays, but that the plane slept. */
export async function recordSpec(
  held: Held,
  spec: ClusterSpec,
  { issuers, earlierHosts }: Addresses,
  phase: PlaneRecord['phase'],
): Promise<void> {
  await updateRecord(held, (record) => ({
    ...record,
    asleep: undefined,
    spec,
    issuers,
    earlierHosts: earlierHosts.length > 0 ? earlierHosts : undefined,
    toolVersion: toolVersion(),
    phase,
  }));
}
