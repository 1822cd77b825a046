import { parseQuantity } from '../base/quantity.ts';
import { isForbidden } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { KubeObject } from '../kube/objects.ts';
import { minimumVolume } from '../plane/storage.ts';

interface LimitRange extends KubeObject {
  spec?: { limits?: { type: string; min?: Record<string, string>; max?: Record<string, string> }[] };
}

interface Quota extends KubeObject {
  status?: { hard?: Record<string, string>; used?: Record<string, string> };
}

export interface Room {
  /** Bytes that the smallest and the largest volume of a claim may have; Infinity where nothing limits them. */
  least: number;
  most: number;
}

/**
 * What sizes a namespace leaves for `count` volumes of one class.
 *
 * @returns undefined when the limits may not be read
 */
export async function roomForVolumes(
  cluster: InfraCluster,
  count: number,
  storageClass: string | undefined,
): Promise<Room | undefined> {
  try {
    const [limits, quotas] = await Promise.all([
      cluster.list<LimitRange>({ apiVersion: 'v1', kind: 'LimitRange' }),
      cluster.list<Quota>({ apiVersion: 'v1', kind: 'ResourceQuota' }),
    ]);
    return roomIn(limits.items, quotas.items, count, storageClass);
  } catch (error) {
    if (isForbidden(error)) return undefined;
    throw error;
  }
}

/** Pure. Source: https://kubernetes.io/docs/concepts/policy/resource-quotas/#storage-resource-quota */
export function roomIn(limits: LimitRange[], quotas: Quota[], count: number, storageClass: string | undefined): Room {
  const ofClaims = limits
    .flatMap(({ spec }) => spec?.limits ?? [])
    .filter(({ type }) => type === 'PersistentVolumeClaim');
  const sizes = (bound: 'min' | 'max') => ofClaims.flatMap((limit) => parseQuantity(limit[bound]?.storage ?? '') ?? []);
  const resources = [
    'requests.storage',
    ...(storageClass === undefined ? [] : [`${storageClass}.storageclass.storage.k8s.io/requests.storage`]),
  ];
  const free = quotas.flatMap(({ status }) =>
    resources.flatMap((resource) => {
      const hard = parseQuantity(status?.hard?.[resource] ?? '');
      return hard === undefined
        ? []
        : [Math.max(0, hard - (parseQuantity(status?.used?.[resource] ?? '0') ?? 0)) / count];
    }),
  );
  return { least: Math.max(minimumVolume, ...sizes('min')), most: Math.min(...sizes('max'), ...free) };
}

const mebibyte = 2 ** 20;
const gibibyte = 2 ** 30;

/**
 * The size nearest to `wanted` that fits, in whole Gi where that fits too: `2Gi`. Pure.
 *
 * @returns undefined when no size that etcd can use fits
 */
export function nearestSize(wanted: number, { least, most }: Room): string | undefined {
  if (least > most) return undefined;
  const size = Math.min(Math.max(wanted, least), most);
  const whole = wanted > most ? Math.floor(size / gibibyte) * gibibyte : Math.ceil(size / gibibyte) * gibibyte;
  if (whole >= least && whole <= most) return `${whole / gibibyte}Gi`;
  const fine = Math.floor(size / mebibyte) * mebibyte;
  return fine >= least ? `${fine / mebibyte}Mi` : undefined;
}
