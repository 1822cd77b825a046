import type { ClusterSpecInput } from '../config/schema.ts';
import type { ConfigMap } from '../kube/objects.ts';
import { labelsOf, recordName } from './names.ts';

export const recordKind = { apiVersion: 'v1', kind: 'ConfigMap' };

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
  snapshot?: StoredSnapshot;
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
export interface StoredSnapshot {
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

/** What a restore finishes, as the record names it. @param created when the backup was made */
export const restoreOf = (created: string): string => `restore of ${created}`;

/** Whether the plane's data came by a restore that did not come to its end. */
export function isRestoring({ finishing }: PlaneRecord): boolean {
  return finishing?.startsWith(restoreOf('')) ?? false;
}

/** `finishing` while etcd is repaired: nothing else of the plane may run meanwhile. */
export const repairing = 'etcd repair';

/** The record as it is kept. Pure. */
export function toConfigMap(record: PlaneRecord): ConfigMap {
  return {
    ...recordKind,
    metadata: { name: recordName, labels: labelsOf(record.planeId, 'record', record.spec.kubernetesVersion ?? '') },
    data: { 'plane.json': `${JSON.stringify(record, null, 2)}\n` },
  };
}
