import { setTimeout as sleep } from 'node:timers/promises';
import { cronJobKind, scheduleName } from '../backup/cronjob.ts';
import { runNow } from '../backup/first-run.ts';
import { UserError } from '../base/errors.ts';
import { command, words } from '../base/words.ts';
import { abortable } from '../kube/abortable.ts';
import { ApiError, explainCallError, missingRight } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ConfigMap } from '../kube/objects.ts';
import { followedBy } from '../live/followed.ts';
import { readRecord } from '../live/record.ts';
import { wakePlane } from '../operations/sleep.ts';
import { recordName } from '../plane/names.ts';
import { recordKind } from '../plane/record.ts';
import { factsOfLastBackup } from './conditions.ts';
import { backupFinalizer } from './names.ts';
import type { HostedControlPlane } from './object.ts';
import { asPlaneAccount, type ReconcileContext } from './plane-account.ts';

export function holdsForBackup({ metadata }: HostedControlPlane): boolean {
  return metadata.finalizers?.includes(backupFinalizer) === true;
}

/** The finalizers of an object that waits for its last backup, or does not. Pure. */
export function finalizersFor({ metadata }: HostedControlPlane, waits: boolean): string[] {
  const others = (metadata.finalizers ?? []).filter((each) => each !== backupFinalizer);
  return waits ? [...others, backupFinalizer] : others;
}

/** Milliseconds between two tries, and between two looks whether there can be a backup at all. */
const pause = { try: 10_000, look: 2000 };

/**
 * Makes the last backup of a plane whose object is being deleted, by its schedule. It is tried until it is made, or the object has waited
 * for `patience`; nothing is waited for where the namespace goes too, or the operator is not allowed there any more. The caller lets the object
 * go afterwards, whatever came of it.
 *
 * @param patience milliseconds from the deletion on
 * @throws the signal's reason: then nothing came of it, and the next operator makes the backup
 */
export async function makeLastBackup(
  object: HostedControlPlane,
  around: ReconcileContext,
  patience: number,
): Promise<void> {
  const cluster = asPlaneAccount(object, around);
  const [hopeless, done] = [new AbortController(), new AbortController()];
  untilHopeless(cluster, AbortSignal.any([around.signal, done.signal])).then(
    () => hopeless.abort(),
    () => undefined,
  );
  const signal = AbortSignal.any([around.signal, hopeless.signal]);
  try {
    const end = Date.parse(object.metadata.deletionTimestamp!) + patience;
    // Not every request of a try ends with the signal.
    await abortable(tryUntil(end, object, cluster, { ...around, signal }), signal);
  } catch (error) {
    around.signal.throwIfAborted();
    if (!hopeless.signal.aborted) throw error;
  } finally {
    done.abort();
    await cluster.close();
  }
}

async function tryUntil(
  end: number,
  object: HostedControlPlane,
  cluster: InfraCluster,
  around: ReconcileContext,
): Promise<void> {
  for (;;) {
    around.signal.throwIfAborted();
    const error = await tryBackup(cluster, around).then(
      () => undefined,
      (error: unknown) => explainCallError(error, `make the last backup in namespace "${cluster.namespace}"`),
    );
    if (error === undefined) return;
    // It may have failed because this operator ends.
    around.signal.throwIfAborted();
    if (Date.now() >= end) return;
    await around.tell(factsOfLastBackup(error, object, new Date(end)));
    await sleep(Math.min(pause.try, Math.max(0, end - Date.now())), undefined, { signal: around.signal });
  }
}

async function tryBackup(cluster: InfraCluster, around: ReconcileContext): Promise<void> {
  const [record, object] = await Promise.all([readRecord(cluster), cluster.get<ConfigMap>(recordKind, recordName)]);
  // Nothing is there that could be kept, or nothing that goes with this object.
  if (record?.phase !== 'available' || followedBy(object) !== cluster.object) return;
  if (!(await cluster.get(cronJobKind, scheduleName))) throw noSchedule(cluster.namespace);
  if (record.asleep) await wakePlane(cluster, around);
  await around.reporter.during('Making the last backup', (phase) => runNow(cluster, { ...around, phase }));
}

function noSchedule(namespace: string): UserError {
  return new UserError({
    what: `the plane in namespace "${namespace}" has no schedule of backups, which says where they go and who can open them`,
    fix: words`say one in spec.backup, or make one with ${command('backup schedule', namespace)}`,
    anchor: 'last-backup',
  });
}

/**
 * Until nothing can be made in the namespace any more. Of one that is being deleted, the namespace controller may have deleted the binding of
 * the account, so the API server says no more than that the account may not. An API server that has just started says that too of an account
 * that may, so it is asked twice.
 *
 * @throws the signal's reason
 */
async function untilHopeless(cluster: InfraCluster, signal: AbortSignal): Promise<void> {
  for (let refusals = 0; refusals < 2; ) {
    signal.throwIfAborted();
    const error = await tryToMake(cluster);
    if (isNamespaceEnding(error)) return;
    refusals = missingRight(error) ? refusals + 1 : 0;
    if (refusals < 2) await sleep(pause.look, undefined, { signal });
  }
}

/** @returns what stands against a new object in the namespace; nothing is stored */
function tryToMake(cluster: InfraCluster): Promise<unknown> {
  const object = { ...recordKind, metadata: { name: scheduleName } };
  return cluster.create(object, { dryRun: true }).then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** `NamespaceTerminatingCause` of k8s.io/api/core/v1: nothing new is made in a namespace that is being deleted. */
function isNamespaceEnding(error: unknown): boolean {
  return error instanceof ApiError && error.causes.some(({ reason }) => reason === 'NamespaceTerminating');
}
