import { canonicalQuantity, parseQuantity } from '../base/quantity.ts';
import type { PersistentVolumeClaim } from '../kube/objects.ts';
import { dataVolume, partOf, podSelector } from './names.ts';

/** Where etcd keeps its data: in its pod, or on a volume of its own for each member. */
export type Storage = { kind: 'ephemeral' } | Volume;

export interface Volume {
  kind: 'volume';
  /** What each claim asks for, a Kubernetes quantity: `5Gi`. */
  size: string;
  storageClass?: string;
  /** What the smallest of the claims got, where that is known: a claim that grows gets its room later. */
  capacity?: string;
  /** What the StatefulSet's template asks for, where claims have grown since: nothing of the template can change. */
  templateSize?: string;
}

export function buildClaim(name: string, { size, storageClass }: Volume): PersistentVolumeClaim {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: canonicalQuantity(size) } },
      ...(storageClass !== undefined && { storageClassName: storageClass }),
    },
  };
}

/** The StatefulSet's template for its claims. It cannot change once it is there, so it carries no version. Pure. */
export function claimTemplate(planeId: string, volume: Volume): Omit<PersistentVolumeClaim, 'apiVersion' | 'kind'> {
  const { spec } = buildClaim(dataVolume, { ...volume, size: volume.templateSize ?? volume.size });
  const labels = {
    ...podSelector(planeId, 'etcd'),
    'app.kubernetes.io/component': 'control-plane',
    'app.kubernetes.io/part-of': partOf,
    'app.kubernetes.io/managed-by': partOf,
  };
  return { metadata: { name: dataVolume, labels }, spec };
}

const mebibyte = 2 ** 20;

/** Bytes. With less, etcd's database has no room beside etcd's log. */
export const minimumVolume = 2 ** 30;

/**
 * How large etcd's database may become on a volume: etcd writes a second copy of it to defragment and to receive a
 * snapshot, and keeps some segments of 64 MiB of its log. Above 8 GiB etcd itself warns.
 *
 * @returns bytes
 */
export function databaseQuota(volume: Volume): number {
  const size = parseQuantity(volume.capacity ?? volume.size)!;
  return Math.min(8192 * mebibyte, Math.floor((size - 448 * mebibyte) / 2 / mebibyte) * mebibyte);
}

/** What a storage is, and what becomes of the data, for people. */
export function describeStorage(storage: Storage): { name: string; loses: string } {
  return storage.kind === 'volume'
    ? {
        name: `a volume of ${storage.size}${storage.storageClass ? ` of StorageClass ${storage.storageClass}` : ''} for each etcd member`,
        loses: 'the data survives restarts and new pods; it is lost with the volume',
      }
    : {
        name: 'ephemeral',
        loses: 'its data lives in its pod, and when that pod is replaced, all objects of the hosted cluster are lost',
      };
}
