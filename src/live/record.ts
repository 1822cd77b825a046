import { randomBytes } from 'node:crypto';
import { UserError } from '../base/errors.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { ConnectionError, explainCallError, isConflict } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ConfigMap } from '../kube/objects.ts';
import { recordName } from '../plane/names.ts';
import { type Exposed, type PlaneRecord, parseRecord, recordKind, toConfigMap } from '../plane/record.ts';

/** @returns undefined when the namespace has no plane, or its ConfigMap of that name is no record */
export async function readRecord(cluster: InfraCluster): Promise<PlaneRecord | undefined> {
  const object = await cluster.get<ConfigMap>(recordKind, recordName);
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
