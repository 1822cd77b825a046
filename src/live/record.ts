import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../base/errors.ts';
import { toolVersion } from '../base/version.ts';
import { command, words } from '../base/words.ts';
import { field } from '../config/flags.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { explainCallError, isConflict, isUncertain } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ConfigMap } from '../kube/objects.ts';
import { objectAnnotation, recordName } from '../plane/names.ts';
import { type PlaneRecord, parseRecord, recordKind, toConfigMap, type Unfinished } from '../plane/record.ts';
import type { Held } from './held.ts';

/**
 * @returns undefined when the namespace has no plane, or its ConfigMap of that name is somebody else's
 * @throws UserError `record-newer`, `record-damaged`
 */
export async function readRecord(cluster: InfraCluster): Promise<PlaneRecord | undefined> {
  const object = await cluster.get<ConfigMap>(recordKind, recordName);
  return object && parseRecord(object);
}

/** @throws UserError `no-plane`, and as readRecord */
export async function requireRecord(cluster: InfraCluster): Promise<PlaneRecord> {
  const record = await readRecord(cluster);
  if (record) return record;
  throw noPlane(cluster);
}

function noPlane({ namespace }: InfraCluster): UserError {
  return new UserError({
    what: `there is no plane of k8sk8s in namespace "${namespace}"`,
    fix: words`make one with: ${command('deploy', namespace, field('host', 'HOST'))}; ${command('list')} shows where there are some`,
    anchor: 'no-plane',
  });
}

/** The namespace's record, made now when there is none. */
export async function ensureRecord({ cluster, signal }: Held, spec: ClusterSpec): Promise<PlaneRecord> {
  const existing = await readRecord(cluster);
  if (existing) return existing;
  const record: PlaneRecord = {
    planeId: `plane-${randomBytes(5).toString('hex')}`,
    toolVersion: toolVersion(),
    spec,
    issuers: [],
    phase: 'deploying',
  };
  for (let attempt = 1; ; attempt++) {
    try {
      await cluster.create(withObject(toConfigMap(record), cluster.object));
      return record;
    } catch (error) {
      // Our own may have arrived although the answer was lost.
      const other = isConflict(error) || isUncertain(error) ? await readRecord(cluster) : undefined;
      if (other) return other;
      if (!isUncertain(error) || attempt === attempts)
        throw explainCallError(error, `write the record of the plane in namespace "${cluster.namespace}"`);
      await sleep(100 * 2 ** attempt, undefined, { signal });
    }
  }
}

/** A plane that is made for an object follows it from the beginning. */
function withObject(record: ConfigMap, uid: string | undefined): ConfigMap {
  if (uid === undefined) return record;
  return { ...record, metadata: { ...record.metadata, annotations: { [objectAnnotation]: uid } } };
}

/** How often a write is tried again over what somebody else has written in between. */
const attempts = 5;

/**
 * Changes the record and nothing of it that `change` leaves alone, whatever was written since it was read last. Nothing is
 * written where that makes no difference.
 *
 * @param change pure; it may be asked again
 * @returns the record as it is now
 * @throws UserError `no-plane` when the record is gone, `conflict` when others go on writing it, and as readRecord
 */
export async function updateRecord(
  { cluster, signal }: Held,
  change: (record: PlaneRecord) => PlaneRecord,
): Promise<PlaneRecord> {
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    const object = await cluster.get<ConfigMap>(recordKind, recordName);
    const record = object && parseRecord(object);
    if (!record) throw noPlane(cluster);
    const next = change(record);
    if (isDeepStrictEqual(toConfigMap(next), toConfigMap(record))) return record;
    const { metadata, data } = toConfigMap(next);
    const labels = { ...object.metadata.labels, ...metadata.labels };
    try {
      await cluster.replace({ ...object, metadata: { ...object.metadata, labels }, data: { ...object.data, ...data } });
      return next;
    } catch (error) {
      if (!isConflict(error) || attempt === attempts)
        throw explainCallError(error, `write the record of the plane in namespace "${cluster.namespace}"`);
    }
  }
}

type State<Name extends keyof Unfinished> = Omit<NonNullable<Unfinished[Name]>, 'since'>;

/**
 * Notes which step of an operation was begun that only the operation itself can end; the entries of others stay.
 *
 * @param change what is left to be ended, given what was left before; undefined for nothing
 */
export async function updateUnfinished<Name extends keyof Unfinished>(
  held: Held,
  operation: Name,
  change: (before: Unfinished[Name]) => State<Name> | undefined,
): Promise<void> {
  const now = new Date().toISOString();
  await updateRecord(held, (record) => {
    const { [operation]: before, ...others } = record.unfinished ?? {};
    const left = change(before as Unfinished[Name]);
    const unfinished = { ...others, ...(left && { [operation]: { since: now, ...before, ...left } }) };
    return { ...record, unfinished: Object.keys(unfinished).length > 0 ? unfinished : undefined };
  });
}

/** Notes that the last step of an operation was begun. */
export async function markUnfinished(
  held: Held,
  operation: 'rotate-service-account-key' | 'encrypt-rotate' | 'etcd-repair',
): Promise<void> {
  await updateUnfinished(held, operation, () => ({}));
}

/** Notes that nothing of the operation is left to be ended. */
export async function markFinished(held: Held, operation: keyof Unfinished): Promise<void> {
  await updateUnfinished(held, operation, () => undefined);
}
