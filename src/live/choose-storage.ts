import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../base/errors.ts';
import { parseQuantity } from '../base/quantity.ts';
import { again, command, option, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { isForbidden } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { type KubeObject, nameOf, type PersistentVolumeClaim, type StatefulSet } from '../kube/objects.ts';
import { belongsTo } from '../plane/names.ts';
import type { PlaneRecord } from '../plane/record.ts';
import { buildClaim, describeStorage, type Storage, type Volume } from '../plane/storage.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Patience } from '../ui/work.ts';
import type { Existing } from './apply.ts';
import { nearestSize, roomForVolumes } from './volume-room.ts';

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
  if (mayHoldCluster(record, existing)) {
    const kept = asAskedFor(spec, current);
    if (kept) return { storage: kept, why: kept === current ? 'as it was' : 'larger than it was', replaces: false };
    throw storageChange(cluster.namespace, current, spec);
  }
  const choice = await newStorage(cluster, spec);
  return { ...choice, replaces: !isDeepStrictEqual(choice.storage, current) };
}

/** Worker pods have a StatefulSet and claims too. */
export function isOfEtcd({ metadata }: KubeObject): boolean {
  return metadata.labels?.['app.kubernetes.io/name'] === 'etcd';
}

/**
 * Whether somebody may have written to the plane's etcd: also where the first deploy was interrupted after the hosted API answered, and
 * whether etcd is Ready now or not.
 */
export function mayHoldCluster(
  { planeId, phase, hostedUid }: Pick<PlaneRecord, 'planeId' | 'phase' | 'hostedUid'>,
  existing: Existing,
): boolean {
  return (
    phase === 'available' ||
    hostedUid !== undefined ||
    existing
      .ofKind<StatefulSet>('StatefulSet')
      .some((object) => belongsTo(object, planeId) && isOfEtcd(object) && (object.status?.readyReplicas ?? 0) > 0)
  );
}

/** The storage of the plane's etcd as the namespace tells it; claims whose StatefulSet was deleted still hold the data. */
export function presentStorage(existing: Existing, planeId: string): Storage | undefined {
  const own = <T extends KubeObject>(kind: string) =>
    existing.ofKind<T>(kind).filter((object) => belongsTo(object, planeId) && isOfEtcd(object));
  const [statefulSet] = own<StatefulSet>('StatefulSet');
  const claims = own<PersistentVolumeClaim>('PersistentVolumeClaim');
  const [template] = statefulSet?.spec.volumeClaimTemplates ?? [];
  if (statefulSet && !template) return { kind: 'ephemeral' };
  if (!template && claims.length === 0) return undefined;
  const asked = smallest(claims.map(({ spec }) => spec.resources.requests.storage));
  const capacity = smallest(claims.flatMap(({ status }) => status?.capacity?.storage ?? []));
  const { size, storageClass } = volumeOf(template ?? claims[0]!);
  return {
    kind: 'volume',
    size: asked ?? size,
    storageClass,
    ...(capacity !== undefined && !sameSize(capacity, asked ?? size) && { capacity }),
    ...(template && asked !== undefined && !sameSize(asked, size) && { templateSize: size }),
  };
}

const sameSize = (one: string, other: string): boolean => parseQuantity(one) === parseQuantity(other);

function smallest(sizes: string[]): string | undefined {
  return [...sizes].sort((one, other) => parseQuantity(one)! - parseQuantity(other)!)[0];
}

function volumeOf({ spec }: Pick<PersistentVolumeClaim, 'spec'>): Volume {
  return { kind: 'volume', size: spec.resources.requests.storage, storageClass: spec.storageClassName };
}

/** What a plane has, when it is what is asked for or can become it without losing data. @returns undefined when it cannot */
function asAskedFor(
  { etcdStorage, etcdStorageClass, etcdMembers }: ClusterSpec,
  current: Storage,
): Storage | undefined {
  if (current.kind === 'ephemeral') {
    const kept = etcdStorage === 'ephemeral' || (etcdStorage === 'auto' && !etcdStorageClass);
    return etcdMembers === 1 && kept ? current : undefined;
  }
  if (etcdStorageClass !== undefined && etcdStorageClass !== current.storageClass) return undefined;
  if (etcdStorage === 'auto' || sameSize(etcdStorage, current.size)) return current;
  // `ephemeral` is no quantity.
  if (!((parseQuantity(etcdStorage) ?? 0) > parseQuantity(current.size)!)) return undefined;
  const { size, templateSize = size, capacity = size } = current;
  return { ...current, size: etcdStorage, templateSize, capacity };
}

async function newStorage(
  cluster: InfraCluster,
  { etcdStorage, etcdStorageClass, etcdMembers }: ClusterSpec,
): Promise<Omit<StorageChoice, 'replaces'>> {
  if (etcdStorage === 'ephemeral') return { storage: { kind: 'ephemeral' }, why: 'as asked for' };
  const wanted: Volume = {
    kind: 'volume',
    size: etcdStorage === 'auto' ? defaultSize : etcdStorage,
    storageClass: etcdStorageClass,
  };
  const storageClass = await classOfClaim(cluster, wanted, etcdMembers);
  if (storageClass !== undefined)
    return {
      storage: { ...wanted, storageClass },
      why: etcdStorageClass === undefined ? 'the default of the infra cluster' : 'as asked for',
    };
  const why = 'the infra cluster has no default StorageClass';
  if (etcdStorage === 'auto' && etcdMembers === 1) return { storage: { kind: 'ephemeral' }, why };
  throw new UserError({
    what: `etcd cannot have ${etcdMembers === 1 ? 'a volume' : `${etcdMembers} volumes`} of ${wanted.size}`,
    why,
    fix:
      etcdMembers === 1
        ? words`name a class with ${field('etcdStorageClass')}, or take ${field('etcdStorage', 'ephemeral')} if the hosted cluster may be lost with its pod`
        : words`name a class with ${field('etcdStorageClass')}; a single member, ${field('etcdMembers', '1')}, can do without a volume`,
    anchor: 'storage-class',
    kind: 'refused',
  });
}

/**
 * StorageClasses cannot be listed with the rights of a namespace, but a claim that is only tried comes back with its class.
 *
 * @returns undefined when there is no class at all
 * @throws UserError `storage-size` when the infra cluster refuses the claim: a plane never becomes ephemeral for that
 */
async function classOfClaim(cluster: InfraCluster, volume: Volume, members: number): Promise<string | undefined> {
  try {
    const { spec } = await cluster.create(buildClaim('data-etcd-preflight', volume), { dryRun: true });
    return spec.storageClassName || undefined;
  } catch (error) {
    if (!isForbidden(error)) throw error;
    throw await refusedSize(cluster, volume, members, error as Error);
  }
}

async function refusedSize(cluster: InfraCluster, volume: Volume, members: number, cause: Error): Promise<UserError> {
  const room = await roomForVolumes(cluster, members, volume.storageClass);
  const fits = room && nearestSize(parseQuantity(volume.size)!, room);
  const noData =
    members === 1
      ? words`; or take ${field('etcdStorage', 'ephemeral')} if the hosted cluster may be lost with its pod`
      : '';
  return new UserError({
    what: `the infra cluster refuses ${members === 1 ? 'a volume' : `volumes`} of ${volume.size} for etcd`,
    why: cause.message,
    fix: words`${
      fits
        ? words`take a volume that fits there: ${field('etcdStorage', fits)}`
        : `ask the administrator of the infra cluster for ${members === 1 ? '' : `${members} times `}at least 1Gi of storage in namespace "${cluster.namespace}"`
    }${noData}`,
    anchor: 'storage-size',
    kind: 'refused',
    cause,
  });
}

/** Takes away a storage that never held a cluster, to make another: nothing of a StatefulSet's volumes can be changed. */
export async function removeEtcd(
  cluster: InfraCluster,
  planeId: string,
  existing: Existing,
  { timeout, signal }: Patience,
): Promise<void> {
  const objects = ['StatefulSet', 'PersistentVolumeClaim']
    .flatMap((kind) => existing.ofKind(kind))
    .filter((object) => belongsTo(object, planeId) && isOfEtcd(object));
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
        fix: words`look at it with kubectl -n ${cluster.namespace} describe, then ${again}`,
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
      fix: words`leave ${field('etcdMembers')} out; or save what the hosted cluster holds, take the plane away (${command('destroy', namespace)}) and deploy it with volumes`,
      anchor: 'storage-change',
      kind: 'refused',
    });
  const size = field('etcdStorage', etcdStorage);
  const asked = etcdStorageClass ? words`${size} ${field('etcdStorageClass', etcdStorageClass)}` : [size];
  return new UserError({
    what: words`the storage of a plane's etcd cannot be changed to ${asked}`,
    why: `its data lies on ${current.kind === 'volume' ? describeStorage(current).name : 'no volume, but in the pod of etcd'}, and a new storage would begin empty`,
    fix: words`leave the option out to keep it (${option('reset', field('etcdStorage'))}); to move: ${command('backup create', namespace, 'FILE')}, ${command('destroy', namespace)}, ${command('restore', namespace, 'FILE', field('etcdStorage', etcdStorage === 'ephemeral' ? 'SIZE' : etcdStorage))}`,
    anchor: 'storage-change',
    kind: 'refused',
  });
}
