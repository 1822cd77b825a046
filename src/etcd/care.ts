import { UserError } from '../errors.ts';
import { openPlane, type Plane, refuseAsleep } from '../hosted.ts';
import type { InfraCluster } from '../kube/cluster.ts';
import { acquireLock } from '../lock.ts';
import { isReady, podsOf } from '../plane/pods.ts';
import type { Work } from '../plane/roll-out.ts';
import { mebibytes } from '../quantity.ts';
import { explainEtcd, type MemberStatus, openEtcdctl } from './etcdctl.ts';
import { etcdPlane, replaceMember } from './scale.ts';

export interface MemberReport {
  /** `etcd-0` */
  name: string;
  /** Cluster IP of its service. */
  address: string;
  /** `silent`: it does not answer. `unknown`: the others do not know it. */
  role: 'leader' | 'follower' | 'learner' | 'silent' | 'unknown';
  /** What it says about itself; absent when it does not answer. */
  status?: Pick<MemberStatus, 'version' | 'revision' | 'size' | 'inUse' | 'quota'>;
  /** `NOSPACE`, `CORRUPT` */
  alarms: string[];
}

/** @throws UserError `no-plane`, `plane-asleep`, `etcd-unreachable` */
export async function etcdMembers(cluster: InfraCluster): Promise<MemberReport[]> {
  const plane = await openPlane(cluster);
  refuseAsleep(cluster, plane.record);
  return reportMembers(cluster, plane);
}

async function reportMembers(cluster: InfraCluster, plane: Plane): Promise<MemberReport[]> {
  const addresses = plane.addresses.etcdServiceIps;
  try {
    const etcd = await openEtcdctl(cluster, plane.record.planeId);
    const answers = await etcd.status(addresses);
    // With no majority these two are not answered, and what each member says is all there is.
    const [members, alarms] = await Promise.all([etcd.members(), etcd.alarms()]).catch((error) => {
      if (answers.size === 0) throw error;
      return [undefined, []] as const;
    });
    return addresses.map((address, number) => {
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
export async function defragment(
  cluster: InfraCluster,
  { reporter, timeout, signal }: Work,
): Promise<{ name: string; before: number; after: number }[]> {
  const seconds = Math.round(timeout / 1000);
  const lock = await acquireLock(cluster, 'etcd defrag', reporter, signal);
  try {
    const plane = await openPlane(cluster);
    refuseAsleep(cluster, plane.record);
    const before = await reportMembers(cluster, plane);
    const answering = before.filter(({ status }) => status);
    const etcd = await openEtcdctl(cluster, plane.record.planeId);
    const full = before.some(({ alarms }) => alarms.includes('NOSPACE'));
    // An API server notes each compaction in etcd, which is a write: while those are refused, what was deleted stays.
    if (full) await etcd.run(['compact', '--physical', String(revisionOf(answering))], { seconds });
    for (const { name, address } of answering.toSorted(
      (a, b) => Number(a.role === 'leader') - Number(b.role === 'leader'),
    )) {
      signal.throwIfAborted();
      const phase = reporter.begin(`Defragmenting ${name}`);
      try {
        await etcd.run(['defrag'], { address, seconds });
      } catch (error) {
        phase.fail();
        throw error;
      }
      phase.done();
    }
    const after = await reportMembers(cluster, plane);
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
  } finally {
    await lock.release();
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
    fix: `delete objects that are not needed and run k8sk8s etcd defrag -n ${namespace} again; or give it more, within its volume: k8sk8s deploy -n ${namespace} --etcd-arg quota-backend-bytes=BYTES`,
    anchor: 'etcd-full',
  });
}

/** Members that need a new life: the others do not know them, or they do not answer and their pods are not ready. */
export async function lostMembers(cluster: InfraCluster): Promise<MemberReport[]> {
  const plane = await openPlane(cluster);
  refuseAsleep(cluster, plane.record);
  const [members, pods] = await Promise.all([
    reportMembers(cluster, plane),
    podsOf(cluster, plane.record.planeId, 'etcd'),
  ]);
  const ready = new Set(pods.filter(isReady).map(({ metadata }) => metadata.name));
  const lost = members.filter(({ name, role }) => !ready.has(name) && (role === 'silent' || role === 'unknown'));
  if (lost.length > 0 && (members.length - lost.length) * 2 <= members.length) throw noMajority(cluster, members, lost);
  return lost;
}

/**
 * Replaces members with new ones, which get all data from the others: their volumes are deleted.
 *
 * @param names as lostMembers gave them
 */
export async function repairMembers(cluster: InfraCluster, names: string[], work: Work): Promise<void> {
  const { reporter, timeout } = work;
  const lock = await acquireLock(cluster, 'etcd repair', reporter, work.signal);
  const signal = AbortSignal.any([work.signal, lock.lost]);
  try {
    const plane = await openPlane(cluster);
    const etcd = etcdPlane(cluster, plane, { reporter, timeout, signal }, () => undefined);
    for (const name of names) await replaceMember(etcd, Number(name.replace('etcd-', '')));
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    await lock.release();
  }
}

function noMajority({ namespace }: InfraCluster, members: MemberReport[], lost: MemberReport[]): UserError {
  return new UserError({
    what: `etcd of the plane in namespace "${namespace}" has no majority: ${lost.map(({ name }) => name).join(', ')} of ${members.length} members do not answer`,
    why: 'without one nothing can be changed, its members neither; what the others hold may lack the last writes',
    fix: `bring a member back if its volume is still there (k8sk8s status -n ${namespace} says what keeps its pod); else take the plane away (k8sk8s destroy -n ${namespace}) and bring it back from a backup (k8sk8s restore)`,
    anchor: 'etcd-majority',
  });
}
