import { UserError } from '../base/errors.ts';
import { again, command, words } from '../base/words.ts';
import { explainCallError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { KubeObject, Pod, Workload } from '../kube/objects.ts';
import type { Existing } from '../live/apply.ts';
import { isReady, podsOf } from '../live/pods.ts';
import type { Membership } from '../plane/components/etcd/membership.ts';
import { claimName } from '../plane/names.ts';
import { type PlaneSource, renderPlane } from '../plane/render.ts';
import { templateHash, templateHashOf } from '../plane/workloads.ts';
import type { Reporter } from '../ui/reporter.ts';
import { waitFor } from '../ui/wait-for.ts';
import type { Work } from '../ui/work.ts';
import { type Etcdctl, EtcdError, explainEtcd, type Member, openEtcdctl } from './etcdctl.ts';

const statefulSetKind = { apiVersion: 'apps/v1', kind: 'StatefulSet' };

/** Everything that waiting for a plane's members needs. */
export interface MembersWait {
  cluster: InfraCluster;
  planeId: string;
  /** Why pods cannot start, as far as it is known. */
  failure(): UserError | undefined;
  /** Time limit for one member, in milliseconds. */
  timeout: number;
  signal: AbortSignal;
}

/** Everything that changing a plane's members needs. */
export interface EtcdPlane extends MembersWait {
  /** Service addresses of all existing and wanted members. */
  addresses: string[];
  /** The StatefulSet for a membership. */
  build(membership: Membership): Workload;
  reporter: Reporter;
}

/**
 * Grows the cluster to `wanted` voting members, one after the other: each joins as a learner, which does not count for
 * the quorum, and votes once it has all data. Continues where a killed run stopped.
 *
 * @throws UserError when a member does not start, or there is no quorum
 */
export async function growTo(plane: EtcdPlane, wanted: number): Promise<void> {
  for (let member = 0; member < wanted; member++) {
    const members = await membersOf(plane);
    if (isVoting(memberAt(plane, members, member))) continue;
    await join(plane, member, members);
  }
}

/** The replicas of etcd's StatefulSet; 0 before it exists. Worker pods have a StatefulSet too. */
export function presentMembers(existing: Existing): number {
  const statefulSet = existing.find<Workload>({ ...statefulSetKind, metadata: { name: 'etcd' } });
  return statefulSet ? (statefulSet.spec.replicas ?? 1) : 0;
}

/** The members as etcd reports them. */
async function membersOf(plane: EtcdPlane): Promise<Member[]> {
  return asking(plane, 'read the members of etcd', (etcd) => etcd.members());
}

function memberAt({ addresses }: EtcdPlane, members: Member[], member: number): Member | undefined {
  return members.find(({ peerUrl }) => peerUrl === peerUrlOf(addresses[member]!));
}

function isVoting(member: Member | undefined): boolean {
  return member !== undefined && !member.learner && member.name !== '';
}

/** Everything for changes of a plane's members. @param failure why pods cannot start, as far as it is known */
export function etcdPlane(
  cluster: InfraCluster,
  plane: PlaneSource,
  { reporter, timeout, signal }: Work,
  failure: () => UserError | undefined,
): EtcdPlane {
  return {
    cluster,
    planeId: plane.record.planeId,
    addresses: plane.addresses.etcdServiceIps,
    build: (membership) => renderPlane({ ...plane, membership }).workloads.etcd,
    failure,
    reporter,
    timeout,
    signal,
  };
}

const peerUrlOf = (address: string): string => `https://${address}:2380`;

/**
 * Replaces a member that lost its data, or cannot start with it: removes it from the cluster and adds it again, empty.
 *
 * @throws UserError when there is no quorum without it, or it does not start
 */
export async function replaceMember(plane: EtcdPlane, member: number): Promise<void> {
  const members = await membersOf(plane);
  const self = memberAt(plane, members, member);
  if (self) {
    await removeMember(plane, self, member);
    plane.reporter.line(`etcd member etcd-${member} removed`);
  }
  await join(
    plane,
    member,
    members.filter((each) => each !== self),
    true,
  );
}

/**
 * Adds one member, which the others do not know yet or know as a learner, until it votes.
 *
 * @param anew whether its pod and volume are known to be useless
 */
async function join(plane: EtcdPlane, member: number, members: Member[], anew = false): Promise<void> {
  const { cluster, planeId, reporter } = plane;
  const name = `etcd-${member}`;
  const self = memberAt(plane, members, member);
  const pods = await podsOf(cluster, planeId, 'etcd');
  const replicas = Math.max(pods.length, (await statefulSet(plane))?.spec.replicas ?? 0);
  const voters = members.filter((each) => each !== self).map((each) => numberOf(plane, each));
  const membership: Membership = {
    pods: Math.max(replicas, member + 1),
    members: [...voters, member].sort(),
    joining: true,
  };
  const before = pods.find(({ metadata }) => metadata.name === name);
  // Old data on the volume prevents etcd from joining again.
  if (!self && !before) await deleteClaim(plane, member);
  if (!self) {
    await addLearner(plane, member);
    reporter.line(`etcd member ${name} added`);
  }
  await apply(plane, membership);
  const useless = before && (anew || (self?.name !== name && !joins(before, membership, plane)));
  if (useless) await renew(plane, member, before);
  await promote(plane, member);
  reporter.line(`etcd member ${name} votes`);
  await podReady(plane, name);
}

/** Of an earlier try the answer alone may be lost, and etcd refuses a member that is there already. */
async function addLearner(plane: EtcdPlane, member: number): Promise<void> {
  const name = `etcd-${member}`;
  await asking(plane, `add member ${name}`, async (etcd) => {
    if (memberAt(plane, await etcd.members(), member)) return;
    await etcd.run(['member', 'add', name, '--learner', `--peer-urls=${peerUrlOf(plane.addresses[member]!)}`]);
  });
}

/** Of an earlier try the answer alone may be lost, and etcd knows no member that is gone already. */
async function removeMember(plane: EtcdPlane, { id }: Member, member: number): Promise<void> {
  await asking(plane, `remove member etcd-${member}`, async (etcd) => {
    if (!(await etcd.members()).some((each) => each.id === id)) return;
    await etcd.run(['member', 'remove', id]);
  });
}

/** Whether a pod was created to join this cluster. */
function joins(pod: Pod, membership: Membership, plane: EtcdPlane): boolean {
  const args = ({ containers }: { containers: { name: string; args?: string[] }[] }) =>
    containers
      .find(({ name }) => name === 'etcd')
      ?.args?.find((argument) => argument.startsWith('--initial-cluster=')) ?? '';
  return args(pod.spec) === args(plane.build(membership).spec.template.spec);
}

/** Deletes a pod and its claim; the StatefulSet creates new ones. The claim is deleted only after the pod that uses it. */
async function renew(plane: EtcdPlane, member: number, pod: Pod): Promise<void> {
  const gone = await beginDeletingClaim(plane, member);
  await deletePod(plane, pod);
  await gone();
}

/** A learner has to catch up before it may vote; etcd says so until it has. */
async function promote(plane: EtcdPlane, member: number): Promise<void> {
  let last = '';
  await waitFor({
    ...patienceOf(plane),
    every: 300,
    until: async () => {
      const self = memberAt(plane, await membersOf(plane), member);
      if (isVoting(self)) return true;
      last = 'it has not started';
      if (!self?.name) return false;
      try {
        await (await openEtcdctl(plane.cluster, plane.planeId)).run(['member', 'promote', self.id]);
        return true;
      } catch (error) {
        if (!(error instanceof EtcdError)) throw error;
        last = error.message;
        return false;
      }
    },
    late: (after) =>
      new UserError({
        what: `etcd member etcd-${member} did not catch up within ${after}`,
        why: last,
        fix: words`${again}, it continues where it stopped; its log: ${command('logs', plane.cluster.namespace, 'etcd')}`,
        anchor: 'etcd-member',
      }),
  });
}

/**
 * Removes the last members, one after the other, each with its pod and claim.
 *
 * @param present the number of pods now
 */
export async function shrinkTo(plane: EtcdPlane, wanted: number, present: number): Promise<void> {
  for (let member = present - 1; member >= wanted; member--) {
    const name = `etcd-${member}`;
    const members = await membersOf(plane);
    const self = memberAt(plane, members, member);
    const rest = Array.from({ length: member }, (_, each) => each);
    if (self) {
      await handOver(plane, self, rest);
      await removeMember(plane, self, member);
    }
    await apply(plane, { pods: member, members: rest, joining: false });
    await podGone(plane, name);
    await deleteClaim(plane, member);
    plane.reporter.line(`etcd member ${name} removed`);
  }
}

/** Moves the leadership, so that no write waits for an election. */
async function handOver(plane: EtcdPlane, self: Member, rest: number[]): Promise<void> {
  await asking(plane, 'move the leadership of etcd', async (etcd) => {
    const status = await etcd.status(plane.addresses);
    const own = [...status].find(([, { id }]) => id === self.id);
    const next = rest.map((member) => status.get(plane.addresses[member]!)).find((each) => each && !each.learner);
    if (own && next && own[1].leader === self.id) await etcd.run(['move-leader', next.id], { address: own[0] });
  });
}

/**
 * Replaces pods that were created from another template. Pods that are not ready are replaced at once, because they serve nobody
 * and may never start from that template; the others follow one by one, each when all other pods are ready.
 *
 * @param statefulSet etcd's, as it was rendered
 */
export async function replaceOutdated(plane: MembersWait, statefulSet: KubeObject): Promise<void> {
  const wanted = templateHashOf(statefulSet);
  const outdated = (await podsOf(plane.cluster, plane.planeId, 'etcd')).filter(
    ({ metadata }) => metadata.annotations?.[templateHash] !== wanted,
  );
  const idle = outdated.filter((pod) => !isReady(pod));
  const remove = ({ metadata }: Pod) =>
    plane.cluster.delete({ apiVersion: 'v1', kind: 'Pod' }, metadata.name, metadata.uid);
  for (const pod of idle) await remove(pod);
  for (const { metadata } of idle) await newPodReady(plane, metadata.name, metadata.uid);
  for (const pod of outdated.filter((each) => !idle.includes(each))) {
    await othersReady(plane, pod.metadata.name);
    await remove(pod);
    await newPodReady(plane, pod.metadata.name, pod.metadata.uid);
  }
}

export async function apply(plane: EtcdPlane, membership: Membership): Promise<void> {
  try {
    await plane.cluster.apply(plane.build(membership));
  } catch (error) {
    throw explainCallError(error, `apply statefulset "etcd" in namespace "${plane.cluster.namespace}"`);
  }
}

export async function statefulSet(plane: EtcdPlane): Promise<Workload | undefined> {
  return plane.cluster.get<Workload>(statefulSetKind, 'etcd');
}

/** Runs etcdctl in any pod that can run it, and not again in a pod that is stopping. */
async function asking<T>(plane: EtcdPlane, doing: string, ask: (etcd: Etcdctl) => Promise<T>): Promise<T> {
  let last: unknown;
  const explained = () => explainEtcd(last, doing, plane.cluster.namespace);
  const answered = await waitFor({
    ...patienceOf(plane),
    timeout: Math.min(60_000, plane.timeout),
    every: 500,
    until: async () => {
      try {
        return { answer: await ask(await openEtcdctl(plane.cluster, plane.planeId)) };
      } catch (error) {
        last = error;
        if (error instanceof UserError && error.anchor !== 'etcd-unreachable') throw explained();
        plane.reporter.debug(`${doing}: ${error instanceof Error ? error.message : String(error)}; trying again`);
        return undefined;
      }
    },
    late: explained,
  });
  return answered.answer;
}

function numberOf({ addresses }: EtcdPlane, { peerUrl }: Member): number {
  return addresses.findIndex((address) => peerUrl === peerUrlOf(address));
}

export async function deleteClaim(plane: EtcdPlane, member: number): Promise<void> {
  await (await beginDeletingClaim(plane, member))();
}

/** @returns a function that waits until the present claim is deleted; a new claim may have its name by then */
async function beginDeletingClaim({ cluster, ...plane }: EtcdPlane, member: number): Promise<() => Promise<void>> {
  const kind = { apiVersion: 'v1', kind: 'PersistentVolumeClaim' };
  const name = claimName(member);
  const before = await cluster.get(kind, name);
  if (!before) return async () => undefined;
  await cluster.delete(kind, name, before.metadata.uid);
  return () =>
    waitForMembers({ cluster, ...plane }, `claim "${name}" is deleted`, async () => {
      const now = await cluster.get(kind, name);
      return now?.metadata.uid !== before.metadata.uid;
    });
}

export async function deletePod(plane: EtcdPlane, pod: Pod): Promise<void> {
  const kind = { apiVersion: 'v1', kind: 'Pod' };
  await plane.cluster.delete(kind, pod.metadata.name, pod.metadata.uid);
  await waitForMembers(plane, `pod "${pod.metadata.name}" is deleted`, async () => {
    const now = await plane.cluster.get(kind, pod.metadata.name);
    return now?.metadata.uid !== pod.metadata.uid;
  });
}

async function podGone(plane: EtcdPlane, name: string): Promise<void> {
  await waitForMembers(
    plane,
    `pod "${name}" is gone`,
    async () => (await plane.cluster.get({ apiVersion: 'v1', kind: 'Pod' }, name)) === undefined,
  );
}

export async function podReady(plane: EtcdPlane, name: string): Promise<void> {
  await newPodReady(plane, name, undefined);
}

async function newPodReady(plane: MembersWait, name: string, oldUid: string | undefined): Promise<void> {
  await waitForMembers(plane, `pod "${name}" is ready`, async () => {
    const pod = await plane.cluster.get<Pod>({ apiVersion: 'v1', kind: 'Pod' }, name);
    return pod !== undefined && pod.metadata.uid !== oldUid && isReady(pod);
  });
}

async function othersReady(plane: MembersWait, name: string): Promise<void> {
  await waitForMembers(plane, 'the other etcd members are ready', async () =>
    (await podsOf(plane.cluster, plane.planeId, 'etcd')).every((pod) => pod.metadata.name === name || isReady(pod)),
  );
}

const patienceOf = ({ timeout, signal, failure }: MembersWait) => ({ timeout, signal, failure });

export async function waitForMembers(plane: MembersWait, what: string, done: () => Promise<boolean>): Promise<void> {
  await waitFor({
    ...patienceOf(plane),
    until: done,
    late: (after) =>
      new UserError({
        what: `still waiting until ${what}, after ${after}`,
        fix: words`look at: ${command('status', plane.cluster.namespace)}; then ${again}, it continues where it stopped`,
        anchor: 'etcd-member',
      }),
  });
}
