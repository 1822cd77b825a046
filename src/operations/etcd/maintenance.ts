import { UserError } from '../../base/errors.ts';
import { mebibytes } from '../../base/quantity.ts';
import { again, command, words } from '../../base/words.ts';
import { field } from '../../config/flags.ts';
import { explainEtcd, type MemberStatus, openEtcdctl } from '../../etcd/etcdctl.ts';
import { etcdPlane, replaceMember } from '../../etcd/members.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import { openPlane, type Plane, refuseAsleep } from '../../live/open.ts';
import { isReady, podsOf } from '../../live/pods.ts';
import { markFinished, markUnfinished } from '../../live/record.ts';
import { type HeldPlane, withPlane } from '../../live/with-plane.ts';
import { componentNames } from '../../plane/components/lookup.ts';
import { rollOut } from '../../rollout/roll-out.ts';
import type { Work } from '../../ui/work.ts';
import { numberIn, type Remains, seedFromSurvivor } from './recover.ts';

export interface MemberReport {
  /** `etcd-0` */
  name: string;
  /** Cluster IP of its service. */
  address: string;
  /** `silent`: it does not answer. `unknown`: the others do not know it. */
  role: 'leader' | 'follower' | 'learner' | 'silent' | 'unknown';
  /** What it says about itself; absent when it does not answer. */
  status?: Pick<MemberStatus, 'version' | 'revision' | 'learner' | 'size' | 'inUse' | 'quota'>;
  /** `NOSPACE`, `CORRUPT` */
  alarms: string[];
}

/** @throws UserError `no-plane`, `plane-asleep`, `etcd-unreachable` */
export async function etcdMembers(cluster: InfraCluster): Promise<MemberReport[]> {
  const plane = await openPlane(cluster);
  refuseAsleep(cluster, plane.record);
  return (await askMembers(cluster, plane)).reports;
}

/** `agreed`: a majority of them answered. */
async function askMembers(cluster: InfraCluster, plane: Plane): Promise<{ reports: MemberReport[]; agreed: boolean }> {
  const addresses = plane.addresses.etcdServiceIps;
  try {
    const etcd = await openEtcdctl(cluster, plane.record.planeId);
    const answers = await etcd.status(addresses);
    // With no majority these two are not answered, and what each member says is all there is.
    const [members, alarms] = await Promise.all([etcd.members(), etcd.alarms()]).catch((error) => {
      if (answers.size === 0) throw error;
      return [undefined, []] as const;
    });
    const reports = addresses.map((address, number): MemberReport => {
      const status = answers.get(address);
      const known = members?.find(({ peerUrl }) => new URL(peerUrl).hostname === address);
      return {
        name: `etcd-${number}`,
        address,
        role: roleOf(status, members === undefined || known !== undefined),
        ...(status && { status }),
        alarms: alarms.filter(({ member }) => member === (status?.id ?? known?.id)).map(({ kind }) => kind),
      };
    });
    return { reports, agreed: members !== undefined };
  } catch (error) {
    throw explainEtcd(error, 'ask the members of etcd', cluster.namespace);
  }
}

function roleOf(status: MemberStatus | undefined, known: boolean): MemberReport['role'] {
  if (!known) return 'unknown';
  if (!status) return 'silent';
  if (status.learner) return 'learner';
  return status.leader === status.id ? 'leader' : 'follower';
}

/**
 * Gives the free pages of each member's database back to its volume, the leader's last, and takes back the alarm that
 * forbids writes where there is room again. A member answers nobody while it is at it.
 *
 * @returns bytes of each member's file before and after
 */
export async function defragment(cluster: InfraCluster, work: Work): Promise<Defragmented[]> {
  return withPlane(cluster, 'etcd defrag', work, defragmentOf);
}

interface Defragmented {
  name: string;
  /** Bytes. */
  before: number;
  after: number;
}

async function defragmentOf(plane: HeldPlane): Promise<Defragmented[]> {
  const { cluster, reporter, timeout, signal } = plane.held;
  const seconds = Math.round(timeout / 1000);
  try {
    const { reports: before } = await askMembers(cluster, plane);
    const answering = before.filter(({ status }) => status);
    const etcd = await openEtcdctl(cluster, plane.record.planeId);
    const full = before.some(({ alarms }) => alarms.includes('NOSPACE'));
    // An API server notes each compaction in etcd, which is a write: while those are refused, what was deleted stays.
    if (full) await etcd.compact(revisionOf(answering), seconds);
    for (const { name, address } of answering.toSorted(
      (a, b) => Number(a.role === 'leader') - Number(b.role === 'leader'),
    )) {
      signal.throwIfAborted();
      await reporter.during(`Defragmenting ${name}`, () => etcd.run(['defrag'], { address, seconds }));
    }
    signal.throwIfAborted();
    const { reports: after } = await askMembers(cluster, plane);
    if (full) {
      refuseStillFull(cluster, after);
      await etcd.run(['alarm', 'disarm']);
    }
    return answering.map(({ name, status }) => ({
      name,
      before: status!.size,
      after: after.find((each) => each.name === name)?.status?.size ?? 0,
    }));
  } catch (error) {
    throw explainEtcd(error, 'defragment etcd', cluster.namespace);
  }
}

function revisionOf(members: MemberReport[]): number {
  return Math.max(...members.map(({ status }) => status?.revision ?? 0));
}

/** Bytes: etcd's own --max-request-bytes. */
const largestRequest = 1.5 * 1024 * 1024;

/** The alarm would be back with the next write. */
function refuseStillFull({ namespace }: InfraCluster, members: MemberReport[]): void {
  const full = members.find(({ status }) => status && status.quota > 0 && status.size + largestRequest > status.quota);
  if (!full) return;
  throw new UserError({
    what: `etcd is full still: what its objects need, ${mebibytes(full.status!.size)} MiB, is all that it may fill`,
    fix: words`delete objects that are not needed and run ${command('etcd defrag', namespace)} again; or give it more, within its volume: ${command('deploy', namespace, field('etcdArgs', 'quota-backend-bytes=BYTES'))}`,
    anchor: 'etcd-full',
  });
}

/** Members that need a new life, and whether the others can decide about them. */
export interface Damage {
  /** The others do not know them, or they do not answer and their pods are not ready. */
  lost: string[];
  /** Only where no majority is left. */
  remains?: Remains;
}

/** @throws UserError `etcd-majority` when no member answers, `etcd-unreachable` when those that answer do not agree now */
export async function damageOf(cluster: InfraCluster): Promise<Damage> {
  const plane = await openPlane(cluster);
  refuseAsleep(cluster, plane.record);
  return damageIn(cluster, plane);
}

async function damageIn(cluster: InfraCluster, plane: Plane): Promise<Damage> {
  const [{ reports, agreed }, pods] = await Promise.all([
    askMembers(cluster, plane).catch((error) =>
      Promise.reject(
        error instanceof UserError && error.anchor === 'etcd-unreachable'
          ? noSurvivor(cluster.namespace, error)
          : error,
      ),
    ),
    podsOf(cluster, plane.record.planeId, 'etcd'),
  ]);
  const ready = new Set(pods.filter(isReady).map(({ metadata }) => metadata.name));
  return damageAmong(cluster.namespace, reports.slice(0, plane.spec.etcdMembers), ready, agreed);
}

/**
 * Pure.
 *
 * @param ready names of the pods that are
 * @param agreed whether a majority answered
 */
export function damageAmong(
  namespace: string,
  members: Pick<MemberReport, 'name' | 'role' | 'status'>[],
  ready: Set<string>,
  agreed: boolean,
): Damage {
  const lost = members
    .filter(({ name, role }) => !ready.has(name) && (role === 'silent' || role === 'unknown'))
    .map(({ name }) => name);
  if (agreed) return { lost };
  const left = members.filter(({ status }) => status && !status.learner);
  if (left.length * 2 > members.length) throw noAgreement(namespace);
  const [survivor] = left.toSorted((a, b) => b.status!.revision - a.status!.revision);
  if (!survivor) throw noSurvivor(namespace);
  return { lost, remains: { survivor: survivor.name, revision: survivor.status!.revision, lost } };
}

/**
 * Replaces members with new ones, which get all data from the others: their volumes are deleted. Where no majority is
 * left, all others get theirs from the survivor. Killed anywhere and run again, it goes on.
 *
 * @param damage as damageOf gave it
 * @throws UserError `etcd-changed` when it is another by now
 */
export async function repairMembers(cluster: InfraCluster, damage: Damage, work: Work): Promise<void> {
  await withPlane(cluster, 'etcd repair', work, (plane) => repair(plane, damage));
}

async function repair(plane: HeldPlane, damage: Damage): Promise<void> {
  const { held } = plane;
  const { cluster } = held;
  const now = await damageIn(cluster, plane);
  if (now.lost.join() !== damage.lost.join() || now.remains?.survivor !== damage.remains?.survivor)
    throw changedMeanwhile(cluster.namespace);
  // API servers that were ended are given back by the next run, whatever has become of the members by then.
  await markUnfinished(held, 'etcd-repair');
  const etcd = etcdPlane(cluster, plane, held, () => undefined);
  if (now.remains) await seedFromSurvivor(etcd, plane, now.remains, held);
  // The survivor's own data last: until then it is the second copy.
  const useless = now.remains ? [...now.lost.slice(1), ...others(plane, now.lost)] : now.lost;
  for (const name of useless) {
    held.signal.throwIfAborted();
    await replaceMember(etcd, numberIn(name));
  }
  // A member that loses its data later must find all members in its arguments, and not that it is to join.
  await rollOut(cluster, plane, plane.bundle, [...componentNames], held);
  await markFinished(held, 'etcd-repair');
}

/** Whether an earlier run was ended before its last step. */
export async function repairUnfinished(cluster: InfraCluster): Promise<boolean> {
  return (await openPlane(cluster)).record.unfinished?.['etcd-repair'] !== undefined;
}

function others({ spec }: Plane, lost: string[]): string[] {
  return Array.from({ length: spec.etcdMembers }, (_, member) => `etcd-${member}`).filter(
    (name) => !lost.includes(name),
  );
}

function noSurvivor(namespace: string, cause?: UserError): UserError {
  return new UserError({
    what: `no member of etcd answers in namespace "${namespace}", so there is nothing to repair it from`,
    why: cause?.message,
    fix: words`bring one back whose volume is still there (${command('status', namespace)} says what keeps its pod), and ${again}; with no volume left, take the plane away (${command('destroy', namespace)}) and bring it back from a backup (${command('restore', namespace, 'FILE')}; ${command('backup list', namespace)} shows scheduled ones)`,
    anchor: 'etcd-majority',
  });
}

function noAgreement(namespace: string): UserError {
  return new UserError({
    what: `the members of etcd in namespace "${namespace}" answer, but do not agree now`,
    why: 'most of them run: they may be electing a leader, or cannot reach each other',
    fix: words`${again}; when it stays so: ${command('logs', namespace, 'etcd')}`,
    anchor: 'etcd-unreachable',
  });
}

function changedMeanwhile(namespace: string): UserError {
  return new UserError({
    what: 'other members of etcd answer than a moment ago, so nothing was done',
    why: 'their pods come and go, or another command works on them',
    fix: words`look at: ${command('etcd members', namespace)}; then ${again}`,
    anchor: 'etcd-changed',
  });
}
