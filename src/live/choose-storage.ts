import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../base/errors.ts';
import { parseQuantity } from '../base/quantity.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { isForbidden } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { type KubeObject, nameOf, type PersistentVolumeClaim, type StatefulSet } from '../kube/objects.ts';
import { belongsTo } from '../plane/names.ts';
import type { PlaneRecord } from '../plane/record.ts';
import { buildClaim, type Storage, storageWords, type Volume } from '../plane/storage.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Existing } from './apply.ts';

export interface StorageChoice {
  storage: Storage;
  /** The reason in a few words: `the default StorageClass`. */
  why: string;
  /** What is there is another storage that never held a cluster: it goes first. */
  replaces: boolean;
}

/** What `auto` asks for: etcd's usual quota of 2 GiB, and the room that etcd needs beside it. */
const defaultSize = '5Gi';

/**
 * Decides where etcd keeps its data. What a plane has stays; only where there is none does `auto` choose, by asking the
 * infra cluster what it makes of a claim without a class.
 *
 * @throws UserError `storage-change` when another storage is asked for than the one that holds the data,
 *   `storage-class` when there is none for the volumes that are asked for
 */
export async function chooseStorage(
  cluster: InfraCluster,
  spec: ClusterSpec,
  existing: Existing,
  record: PlaneRecord | undefined,
): Promise<StorageChoice> {
  const current = record && presentStorage(existing, record.planeId);
  if (!current) return { ...(await newStorage(cluster, spec)), replaces: false };
  if (record.phase === 'available' || everRan(existing)) {
    if (asAskedFor(spec, current)) return { storage: current, why: 'as it was', replaces: false };
    throw storageChange(cluster.namespace, current, spec);
  }
  const choice = await newStorage(cluster, spec);
  return { ...choice, replaces: !isDeepStrictEqual(choice.storage, current) };
}

/** A first deploy that was interrupted may have left an etcd that somebody has written to since. */
function everRan(existing: Existing): boolean {
  const [statefulSet] = existing.ofKind<StatefulSet>('StatefulSet');
  return (statefulSet?.status?.readyReplicas ?? 0) > 0;
}

/** The storage of the plane's etcd as the namespace tells it; claims whose StatefulSet was deleted still hold the data. */
export function presentStorage(existing: Existing, planeId: string): Storage | undefined {
  const own = <T extends KubeObject>(kind: string) =>
    existing.ofKind<T>(kind).find((object) => belongsTo(object, planeId));
  const statefulSet = own<StatefulSet>('StatefulSet');
  if (statefulSet) {
    const [template] = statefulSet.spec.volumeClaimTemplates ?? [];
    return template ? volumeOf(template) : { kind: 'ephemeral' };
  }
  const claim = own<PersistentVolumeClaim>('PersistentVolumeClaim');
  return claim && volumeOf(claim);
}

function volumeOf({ spec }: Pick<PersistentVolumeClaim, 'spec'>): Volume {
  return { kind: 'volume', size: spec.resources.requests.storage, storageClass: spec.storageClassName };
}

function asAskedFor({ etcdStorage, etcdStorageClass, etcdMembers }: ClusterSpec, current: Storage): boolean {
  if (current.kind === 'ephemeral')
    return etcdMembers === 1 && (etcdStorage === 'ephemeral' || (etcdStorage === 'auto' && !etcdStorageClass));
  if (etcdStorageClass !== undefined && etcdStorageClass !== current.storageClass) return false;
  return etcdStorage === 'auto' || parseQuantity(etcdStorage) === parseQuantity(current.size);
}

async function newStorage(
  cluster: InfraCluster,
  { etcdStorage, etcdStorageClass, etcdMembers }: ClusterSpec,
): Promise<Omit<StorageChoice, 'replaces'>> {
  if (etcdStorage === 'ephemeral') return { storage: { kind: 'ephemeral' }, why: 'as asked for' };
  const size = etcdStorage === 'auto' ? defaultSize : etcdStorage;
  if (etcdStorageClass !== undefined)
    return { storage: { kind: 'volume', size, storageClass: etcdStorageClass }, why: 'as asked for' };
  const { storageClass, problem } = await defaultClass(cluster, size);
  if (storageClass !== undefined)
    return { storage: { kind: 'volume', size, storageClass }, why: 'the default of the infra cluster' };
  if (etcdStorage === 'auto' && etcdMembers === 1) return { storage: { kind: 'ephemeral' }, why: problem };
  throw new UserError({
    what: `etcd cannot have ${etcdMembers === 1 ? 'a volume' : `${etcdMembers} volumes`} of ${size}`,
    why: problem,
    fix:
      etcdMembers === 1
        ? 'name a class with --etcd-storage-class, or take --etcd-storage ephemeral if the hosted cluster may be lost with its pod'
        : 'name a class with --etcd-storage-class; a single member, --etcd-members 1, can do without a volume',
    anchor: 'storage-class',
    kind: 'refused',
  });
}

/** StorageClasses cannot be listed with the rights of a namespace, but a claim that is only tried comes back with its class. */
async function defaultClass(
  cluster: InfraCluster,
  size: string,
): Promise<{ storageClass: string; problem?: undefined } | { storageClass?: undefined; problem: string }> {
  try {
    const claim = buildClaim('data-etcd-preflight', { kind: 'volume', size });
    const { spec } = await cluster.create(claim, { dryRun: true });
    return spec.storageClassName
      ? { storageClass: spec.storageClassName }
      : { problem: 'the infra cluster has no default StorageClass' };
  } catch (error) {
    if (isForbidden(error)) return { problem: `the infra cluster refuses the claim: ${(error as Error).message}` };
    throw error;
  }
}

/** Takes away a storage that never held a cluster, to make another: nothing of a StatefulSet's volumes can be changed. */
export async function removeEtcd(
  cluster: InfraCluster,
  existing: Existing,
  timeout: number,
  signal: AbortSignal,
): Promise<void> {
  const objects = ['StatefulSet', 'PersistentVolumeClaim'].flatMap((kind) => existing.ofKind(kind));
  for (const object of objects) await cluster.delete(object, object.metadata.name, object.metadata.uid);
  let held: KubeObject | undefined;
  await waitFor({
    until: async () => {
      const left = await Promise.all(objects.map((object) => cluster.get(object, object.metadata.name)));
      held = left.find((object) => object !== undefined);
      return held === undefined;
    },
    timeout,
    signal,
    every: 150,
    late: (after) =>
      new UserError({
        what: `${nameOf(held!)} is still there after ${after}`,
        why: 'it was deleted to make room for another storage, but something holds it: a node that does not answer, or a finalizer',
        fix: `look at it with kubectl -n ${cluster.namespace} describe, then run the command again`,
        anchor: 'not-gone',
      }),
  });
}

function storageChange(
  namespace: string,
  current: Storage,
  { etcdStorage, etcdStorageClass, etcdMembers }: ClusterSpec,
): UserError {
  if (etcdMembers > 1 && current.kind === 'ephemeral' && etcdStorage === 'auto')
    return new UserError({
      what: `this plane's etcd cannot have ${etcdMembers} members`,
      why: 'its data lies in its pod, and more than one member needs volumes: one whose data went with its pod may not vote as if it remembered',
      fix: `leave --etcd-members out; or save what the hosted cluster holds, take the plane away (k8sk8s destroy -n ${namespace}) and deploy it with volumes`,
      anchor: 'storage-change',
      kind: 'refused',
    });
  const asked = [
    `--etcd-storage ${etcdStorage}`,
    ...(etcdStorageClass ? [`--etcd-storage-class ${etcdStorageClass}`] : []),
  ];
  return new UserError({
    what: `the storage of a plane's etcd cannot be changed to ${asked.join(' ')}`,
    why: `its data lies on ${current.kind === 'volume' ? storageWords(current).name : 'no volume, but in the pod of etcd'}, and a new storage would begin empty`,
    fix: `leave the option out to keep it (--reset etcd-storage); to move: k8sk8s backup create -n ${namespace} FILE, k8sk8s destroy -n ${namespace}, k8sk8s restore FILE -n ${namespace} --etcd-storage ${etcdStorage === 'ephemeral' ? 'SIZE' : etcdStorage}`,
    anchor: 'storage-change',
    kind: 'refused',
  });
}
