import { setTimeout as sleep } from 'node:timers/promises';
import { cronJobKind, scheduleName } from '../backup/cronjob.ts';
import { runNow } from '../backup/first-run.ts';
import { UserError } from '../base/errors.ts';
import { command, words } from '../base/words.ts';
import { explainCallError } from '../kube/errors.ts';
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

/** Milliseconds between two tries. */
const pause = 10_000;

/**
 * Makes the last backup of a plane whose object is being deleted, by its schedule. It is tried until it is made, or the object has waited
 * for `patience`; nothing is waited for where the namespace goes too. The caller lets the object go afterwards, whatever came of it.
 *
 * @param patience milliseconds from the deletion on
 * @throws the signal's reason: then nothing came of it, and the next operator makes the backup
 */
export async function makeLastBackup(
  object: HostedControlPlane,
  around: ReconcileContext,
  patience: number,
): Promise<void> {
  const end = Date.parse(object.metadata.deletionTimestamp!) + patience;
  const cluster = asPlaneAccount(object, around);
  try {
    for (;;) {
      around.signal.throwIfAborted();
      const error = await tryBackup(cluster, around).then(
        () => undefined,
        (error: unknown) => explainCallError(error, `make the last backup in namespace "${cluster.namespace}"`),
      );
      if (error === undefined) return;
      // It may have failed because this operator ends.
      around.signal.throwIfAborted();
      if (isNamespaceEnding(error) || Date.now() >= end) return;
      await around.tell(factsOfLastBackup(error, object, new Date(end)));
      await sleep(Math.min(pause, Math.max(0, end - Date.now())), undefined, { signal: around.signal });
    }
  } finally {
    await cluster.close();
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

/** https://kubernetes.io/docs/reference/using-api/api-concepts: nothing new is made in a namespace that is being deleted. */
function isNamespaceEnding(error: unknown): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause)
    if (at.message.includes('because it is being terminated')) return true;
  return false;
}
