import { messageOf, UserError } from '../base/errors.ts';
import { command, words } from '../base/words.ts';
import { explainCallError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { ConfigMap } from '../kube/objects.ts';
import { followedBy, refuseOthersPlane } from '../live/followed.ts';
import { openPlane } from '../live/open.ts';
import { readRecord, requireRecord } from '../live/record.ts';
import { settleOwner } from '../operations/adopt.ts';
import { deploy } from '../operations/deploy/deploy.ts';
import { destroy } from '../operations/destroy.ts';
import { sleepPlane, wakePlane } from '../operations/sleep.ts';
import { removedApiProblems } from '../operations/upgrade/plan.ts';
import { upgrade } from '../operations/upgrade/upgrade.ts';
import type { PkiBundle } from '../pki/certificates.ts';
import { isAuthority, nearTheirEnd, remainingDays } from '../pki/near-end.ts';
import { recordName } from '../plane/names.ts';
import { type PlaneRecord, recordKind, specRecorded } from '../plane/record.ts';
import { missingRights, requiredRights } from '../preflight/rights.ts';
import type { Work } from '../ui/work.ts';
import { settleBackups } from './backups.ts';
import { checkSchedule, lifeAt } from './clock.ts';
import {
  besides,
  type Fact,
  factOfEnding,
  factOfPause,
  factOfProblem,
  factOfProgress,
  factOfSilence,
  factsOfEnd,
  factsOfFailure,
  factsOfSuccess,
  factsOfUndone,
  factsOfWaitingAsleep,
  isRefused,
  isUndone,
} from './conditions.ts';
import { letEndGo, settleEnd } from './ending.ts';
import { accountOf } from './names.ts';
import { consentAsked, consents, type HostedControlPlane, isAsRecorded, type Status, specOf } from './object.ts';
import { asPlaneAccount, type ReconcileContext } from './plane-account.ts';

/** How a look ended. `refused`: nothing was changed, and nothing would be a second later, before somebody asks for something else. */
type Outcome = 'done' | 'failed' | 'refused';

/**
 * Makes the plane of an object what the object says, with the operations of the command line. What stood against it is in the object's
 * conditions.
 *
 * @throws what `tell` throws
 */
export async function reconcile(object: HostedControlPlane, around: ReconcileContext): Promise<Outcome> {
  const cluster = asPlaneAccount(object, around);
  try {
    await refuseWithoutRights(cluster);
    await refuseOthersPlane(cluster, 'deploy');
    await settleEnd(object, cluster, around);
    return await bringAbout(object, cluster, around);
  } catch (error) {
    if (around.signal.aborted) return 'failed';
    const told = explainCallError(error, `work in namespace "${cluster.namespace}"`);
    if (!(told instanceof UserError)) around.reporter.warn(String((told as Error).stack ?? told));
    const anchor = told instanceof UserError ? told.anchor : '';
    const isOthers = anchor === 'not-adopted';
    // What is refused of the spec keeps nobody from backups, nor from putting back what others have changed.
    const problem = isOthers ? undefined : await backupProblemMeanwhile(object, cluster, around);
    const tell = async () => {
      const facts = factsOfFailure(told, object, !isOthers && (await answers(cluster)));
      await around.tell(besides(facts, problem), undoneBy(told, object));
    };
    await tell();
    if (isOthers || anchor === 'namespace-not-allowed') await letEndGo(object, around, isOthers);
    if (isOthers) return 'failed';
    if (told instanceof UserError && (told.kind !== 'failed' || isRefused(told)) && (await healed(cluster, around)))
      await tell();
    return isRefused(told) ? 'refused' : 'failed';
  } finally {
    await cluster.close();
  }
}

/**
 * Does of a plane that is paused what its object says of the end, and nothing else.
 *
 * @throws UserError where that could not be done, which the object says then, and what `tell` throws
 */
export async function reconcilePaused(object: HostedControlPlane, around: ReconcileContext): Promise<void> {
  const cluster = asPlaneAccount(object, around);
  try {
    const record = await cluster.get<ConfigMap>(recordKind, recordName);
    if (followedBy(record) === cluster.object) await settleEnd(object, cluster, around);
    else await letEndGo(object, around, true);
  } catch (cause) {
    const error = explainCallError(cause, `work in namespace "${cluster.namespace}"`);
    await around.tell([factOfPause(messageOf(error))]);
    throw error;
  } finally {
    await cluster.close();
  }
  await around.tell([factOfPause()]);
}

function undoneBy(error: unknown, { metadata }: HostedControlPlane): Partial<Status> {
  return isUndone(error) ? { undoneGeneration: metadata.generation } : {};
}

/** Makes the plane what it was made as last, where it was. @returns whether it is that now */
async function healed(cluster: InfraCluster, around: ReconcileContext): Promise<boolean> {
  try {
    const recorded = await readRecord(cluster);
    if (recorded?.phase !== 'available' || recorded.asleep) return false;
    await deployAsRecorded(cluster, around);
    return true;
  } catch (error) {
    around.signal.throwIfAborted();
    around.reporter.warn(messageOf(error));
    return false;
  }
}

/** Of a plane that is not as its object wants it. What cannot be found out now is no answer. */
async function backupProblemMeanwhile(
  object: HostedControlPlane,
  cluster: InfraCluster,
  around: ReconcileContext,
): Promise<Fact | undefined> {
  try {
    if ((await readRecord(cluster))?.phase !== 'available') return undefined;
    return await backupProblem(object, cluster, around);
  } catch (error) {
    around.signal.throwIfAborted();
    around.reporter.warn(messageOf(error));
    return undefined;
  }
}

/** @throws as deploy */
async function deployAsRecorded(cluster: InfraCluster, work: Work): Promise<void> {
  const recorded = await requireRecord(cluster);
  const choose = (now = recorded) => specRecorded(now);
  await deploy(cluster, { ...work, choose, asRecorded: true, allowDataLoss: false });
}

async function bringAbout(
  object: HostedControlPlane,
  cluster: InfraCluster,
  around: ReconcileContext,
): Promise<Outcome> {
  const { reporter, timeout, signal, tell } = around;
  const work: Work = { reporter, timeout, signal };
  checkSchedule(object);
  const { asleep, ended } = lifeAt(object, new Date());
  const recorded = await readRecord(cluster);
  if (ended) return end(recorded, cluster, around);
  if (asleep && recorded?.asleep) return keepAsleep(object, cluster, around, recorded);
  await tellIfSilent(object, cluster, around);
  if (recorded && wasUndone(object, recorded)) return keepAsBefore(object, cluster, around);
  if (object.metadata.generation !== object.status?.observedGeneration)
    await tell([factOfProgress(recorded ? 'Changing' : 'Deploying', 'the plane is being made what this object wants')]);
  if (recorded?.asleep) {
    await tell([factOfProgress('Waking', 'the plane is being woken')]);
    await wakePlane(cluster, work);
  }
  await deploy(cluster, {
    ...work,
    choose: (record) => {
      const spec = specOf(object, record);
      // Another version is the upgrade's, which is watched and has a way back.
      const from = record?.phase === 'available' ? record.spec.kubernetesVersion : undefined;
      return from === undefined ? spec : { ...spec, kubernetesVersion: from };
    },
    allowDataLoss: consents(object),
  });
  await upgradeIfAsked(object, cluster, around);
  if (asleep) {
    await tell([factOfProgress('FallingAsleep', 'the plane is being put to sleep')]);
    await sleepPlane(cluster, work);
  }
  return finish(object, cluster, around, asleep);
}

/** The time of the plane is over: nothing of it is left but the object, which says so. */
async function end(
  recorded: PlaneRecord | undefined,
  cluster: InfraCluster,
  around: ReconcileContext,
): Promise<Outcome> {
  if (recorded) {
    await around.tell([factOfProgress('Ending', 'the plane is being deleted, as spec.expiresAt says')]);
    await destroy(cluster, { ...around, agreed: recorded });
  }
  await around.tell(factsOfEnd());
  return 'done';
}

/** A sleeping plane has no pods that a change could be tried or made in, so a change of the spec waits until it is to wake. */
async function keepAsleep(
  object: HostedControlPlane,
  cluster: InfraCluster,
  around: ReconcileContext,
  recorded: PlaneRecord,
): Promise<Outcome> {
  // The record says it before the pods have ended.
  await sleepPlane(cluster, around);
  if (isAsRecorded(object, recorded)) return finish(object, cluster, around, true);
  await settleOwner(cluster, recorded.planeId, around);
  const wrong = await backupProblem(object, cluster, around);
  await around.tell(factsOfWaitingAsleep(wrong), { replicas: 0 });
  return wrong ? 'refused' : 'done';
}

/** Who waits for Available must not be told so while a plane that stopped answering is being mended. */
async function tellIfSilent(
  { status }: HostedControlPlane,
  cluster: InfraCluster,
  { tell }: ReconcileContext,
): Promise<void> {
  const said = status?.conditions?.find(({ type }) => type === 'Available')?.status;
  if (said === 'True' && !(await answers(cluster))) await tell([factOfSilence()]);
}

/** Whether what the object asks for was tried already and taken back. */
function wasUndone({ metadata, status }: HostedControlPlane, { phase, asleep }: PlaneRecord): boolean {
  return status?.undoneGeneration === metadata.generation && phase === 'available' && !asleep;
}

/** Drift is healed by what worked last. */
async function keepAsBefore(
  object: HostedControlPlane,
  cluster: InfraCluster,
  around: ReconcileContext,
): Promise<Outcome> {
  await deployAsRecorded(cluster, around);
  const { record } = await openPlane(cluster);
  await settleOwner(cluster, record.planeId, around);
  const wrong = await backupProblem(object, cluster, around);
  await around.tell(besides(factsOfUndone(object), wrong));
  return wrong ? 'refused' : 'done';
}

async function upgradeIfAsked(
  object: HostedControlPlane,
  cluster: InfraCluster,
  around: ReconcileContext,
): Promise<void> {
  const { reporter, timeout, signal, tell } = around;
  const record = await readRecord(cluster);
  const { kubernetesVersion: to, allowUntestedVersion } = specOf(object, record);
  if (record === undefined || record.spec.kubernetesVersion === to) return;
  await tell([factOfProgress('Upgrading', `from Kubernetes ${record.spec.kubernetesVersion} to ${to}`)]);
  await upgrade(cluster, {
    to,
    allowUntested: allowUntestedVersion,
    observe: 10_000,
    decide(plan) {
      const [problem] = [...plan.problems, ...removedApiProblems(plan)];
      if (problem) throw new UserError({ ...problem, kind: 'refused' });
      return undefined;
    },
    reporter,
    timeout,
    signal,
  });
}

/** Who owns what follows the deletion policy, and backups are made; the status tells the rest. */
async function finish(
  object: HostedControlPlane,
  cluster: InfraCluster,
  around: ReconcileContext,
  asleep: boolean,
): Promise<Outcome> {
  const { record, addresses, spec, bundle } = await openPlane(cluster);
  await settleOwner(cluster, record.planeId, around);
  const noBackups = await backupProblem(object, cluster, around);
  const wrong = noBackups ?? endingOf(object, bundle, spec.seal !== 'none');
  await around.tell(factsOfSuccess(asleep, wrong), {
    observedGeneration: object.metadata.generation,
    ...(consents(object) && { usedConsent: consentAsked(object) }),
    replicas: asleep ? 0 : spec.replicas,
    planeId: record.planeId,
    version: spec.kubernetesVersion,
    server: addresses.publicServer,
    workerServer: addresses.workerServer,
  });
  return noBackups ? 'refused' : 'done';
}

/** What the operator can renew it has just renewed, and while a plane sleeps nothing uses it. */
function endingOf(object: HostedControlPlane, bundle: PkiBundle, sealed: boolean): Fact | undefined {
  const { namespace } = object.metadata;
  const [first] = remainingDays(bundle, new Date())
    .filter(({ name }) => sealed || isAuthority(name))
    .flatMap((each) => nearTheirEnd([each], namespace!).map((finding) => ({ finding, name: each.name })));
  return first && factOfEnding(first.finding, object, { sealed, ofAuthority: isAuthority(first.name) });
}

/** A plane without the backups that its object wants runs as well as any. */
async function backupProblem(
  object: HostedControlPlane,
  cluster: InfraCluster,
  around: ReconcileContext,
): Promise<Fact | undefined> {
  try {
    await settleBackups(object, cluster, around);
    return undefined;
  } catch (error) {
    if (!(error instanceof UserError) || error.kind === 'failed') throw error;
    return factOfProblem(error, object);
  }
}

/** @throws UserError `namespace-not-allowed` */
async function refuseWithoutRights(cluster: InfraCluster): Promise<void> {
  const { verbs, none } = await missingRights(cluster, requiredRights);
  if (verbs.length === 0) return;
  throw new UserError({
    what: `the operator may not work in namespace "${cluster.namespace}"`,
    why: `it works there as ${accountOf(cluster.namespace)}, which ${none ? 'has no rights there' : `may not ${verbs.slice(0, 5).join(', ')}`}`,
    fix: words`an administrator of the infra cluster allows it with ${command('operator allow', cluster.namespace)}`,
    anchor: 'namespace-not-allowed',
    kind: 'refused',
  });
}

/** Whether the hosted API answers; false also where there is none to ask, or the namespace may not be entered. */
async function answers(cluster: InfraCluster): Promise<boolean> {
  try {
    const { record, connect } = await openPlane(cluster);
    if (record.asleep) return false;
    const hosted = await connect();
    try {
      return (await hosted.ready(3000)).ready;
    } finally {
      await hosted.close();
    }
  } catch {
    return false;
  }
}
