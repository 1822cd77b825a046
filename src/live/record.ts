import { randomBytes } from 'node:crypto';
import { UserError } from '../base/errors.ts';
import type { ClusterSpec, ClusterSpecInput } from '../config/schema.ts';
import { ConnectionError, explainCallError, isConflict } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ConfigMap } from '../kube/objects.ts';
import { labelsOf, recordName } from '../plane/names.ts';

/** What the namespace remembers of its plane: ConfigMap k8sk8s. */
export interface PlaneRecord {
  /** Identity of this plane; every object it owns carries it as app.kubernetes.io/instance. */
  planeId: string;
  /** Version of k8sk8s that wrote the record. */
  toolVersion: string;
  /** The spec that last became available, or that is being deployed for the first time. */
  spec: ClusterSpecInput;
  /** Issuers of service-account tokens that may still be in use, newest first. */
  issuers: string[];
  /** How often etcd was found to have lost its data: API servers that knew the old data are made anew. */
  losses?: number;
  /** The command whose last step was begun: run again, it ends that step instead of beginning anew. */
  finishing?: string;
  /** What `certs rotate-exposed` is replacing, as it was when that began; absent where nothing was exposed. */
  exposed?: Exposed;
  /** What was found when somebody last tried whether the plane's NetworkPolicies are enforced. */
  network?: NetworkFinding;
  /** Present while the plane sleeps. */
  asleep?: Asleep;
  /**
   * `restoring` until etcd has the data of a backup: it must not begin empty before. `deploying` until the plane was seen
   * available with this spec.
   */
  phase: 'restoring' | 'deploying' | 'available';
}

export interface Asleep {
  /** RFC 3339. */
  since: string;
  /** How many pods each workload, by its name, gets when the plane wakes. */
  replicas: Record<string, number>;
  /** Where an ephemeral etcd's data is meanwhile. */
  snapshot?: KeptSnapshot;
  /** etcd has been given it back, and may have seen writes since. */
  givenBack?: boolean;
}

/** What trying the plane's NetworkPolicies has shown. */
export interface NetworkFinding {
  /** `unknown`: not even what everybody may reach was reached, or the pod that tries found no room. */
  policies: 'enforced' | 'not enforced' | 'unknown';
  /** Components that were reached although no policy lets that happen. */
  reached: string[];
  /** RFC 3339. */
  at: string;
}

/** An etcd snapshot in the namespace's Secrets. */
export interface KeptSnapshot {
  /** How many Secrets. */
  parts: number;
  /** Bytes of the snapshot, and the SHA-256 of the database in it, hexadecimal. */
  size: number;
  sha256: string;
  /** The newest in it. */
  revision: number;
}

/** What of the plane's Secrets somebody may have read, by public names. */
export interface Exposed {
  /** When replacing it began, RFC 3339. */
  since: string;
  /** Fingerprints of the authorities, as `fingerprint` gives them. */
  authorities: string[];
  /** As `keyIds` gives them. */
  serviceAccountKeys: string[];
  /** As `providerName` gives them. */
  encryptionKeys: string[];
}

const kind = { apiVersion: 'v1', kind: 'ConfigMap' };

/** @returns undefined when the namespace has no plane, or its ConfigMap of that name is no record */
export async function readRecord(cluster: InfraCluster): Promise<PlaneRecord | undefined> {
  const object = await cluster.get<ConfigMap>(kind, recordName);
  return object && parseRecord(object);
}

/** @throws UserError `no-plane` */
export async function requireRecord(cluster: InfraCluster): Promise<PlaneRecord> {
  const record = await readRecord(cluster);
  if (record) return record;
  throw new UserError({
    what: `there is no plane of k8sk8s in namespace "${cluster.namespace}"`,
    fix: `make one with: k8sk8s deploy -h HOST -n ${cluster.namespace}; k8sk8s list shows where there are some`,
    anchor: 'no-plane',
  });
}

/** @returns undefined when the ConfigMap is somebody else's, or damaged */
export function parseRecord(object: ConfigMap): PlaneRecord | undefined {
  const text = object.data?.['plane.json'];
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as PlaneRecord;
  } catch {
    return undefined;
  }
}

/**
 * The namespace's record, made now when there is none. Two first deploys at once agree on one identity, because only
 * one of them can create the ConfigMap.
 */
export async function ensureRecord(
  cluster: InfraCluster,
  spec: ClusterSpec,
  toolVersion: string,
): Promise<PlaneRecord> {
  const existing = await readRecord(cluster);
  if (existing) return existing;
  const record: PlaneRecord = {
    planeId: `plane-${randomBytes(5).toString('hex')}`,
    toolVersion,
    spec,
    issuers: [],
    phase: 'deploying',
  };
  try {
    await cluster.create(toConfigMap(record));
    return record;
  } catch (error) {
    // Another was quicker, or our own arrived although the answer was lost.
    const other = isConflict(error) || error instanceof ConnectionError ? await readRecord(cluster) : undefined;
    if (other) return other;
    throw explainCallError(error, `write the record of the plane in namespace "${cluster.namespace}"`);
  }
}

/** What a restore finishes, as the record names it. @param created when the backup was made */
export const restoreOf = (created: string): string => `restore of ${created}`;

/** Whether the plane's data came by a restore that did not come to its end. */
export function isRestoring({ finishing }: PlaneRecord): boolean {
  return finishing?.startsWith(restoreOf('')) ?? false;
}

/** `finishing` while etcd is repaired: nothing else of the plane may run meanwhile. */
export const repairing = 'etcd repair';

/** Notes that a command has come to its last step, or with undefined that it has ended. The caller holds the lock. */
export async function markFinishing(cluster: InfraCluster, finishing: string | undefined): Promise<void> {
  await note(cluster, { finishing });
}

/** Notes what is to be replaced, or with undefined that it was. The caller holds the lock. */
export async function markExposed(cluster: InfraCluster, exposed: Exposed | undefined): Promise<void> {
  await note(cluster, { exposed });
}

async function note(cluster: InfraCluster, news: Partial<PlaneRecord>): Promise<void> {
  const record = await readRecord(cluster);
  if (!record) return;
  const before = toConfigMap(record);
  const after = toConfigMap({ ...record, ...news });
  if (JSON.stringify(after) !== JSON.stringify(before)) await cluster.apply(after);
}

/** The record as it is kept. Pure. */
export function toConfigMap(record: PlaneRecord): ConfigMap {
  return {
    ...kind,
    metadata: { name: recordName, labels: labelsOf(record.planeId, 'record', record.spec.kubernetesVersion ?? '') },
    data: { 'plane.json': `${JSON.stringify(record, null, 2)}\n` },
  };
}
