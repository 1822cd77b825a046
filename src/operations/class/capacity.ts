import { said, UserError } from '../../base/errors.ts';
import { formatQuantity, parseQuantity } from '../../base/quantity.ts';
import { joined, option, type Words, words } from '../../base/words.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { explainCallError, isForbidden } from '../../kube/errors.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { Node, Pod } from '../../kube/objects.ts';
import { readRecord } from '../../live/record.ts';
import { specRecorded } from '../../plane/record.ts';
import { podDemand, type Quota, shortages, sum } from '../../preflight/quota.ts';
import { type PodResources, planePods } from '../../preflight/trials.ts';
import { clusterOf, type Lesson, type Student } from './queue.ts';

/** The fields of a Node that say how many pods it can run. */
export interface NodeRoom extends Node {
  spec?: { unschedulable?: boolean; taints?: { effect: string }[] };
  status?: Node['status'] & { allocatable?: Record<string, string> };
}

/** Pods, and what they request: cores and bytes. */
export type Room = Record<'pods' | 'cpu' | 'memory', number>;

const resources = ['pods', 'cpu', 'memory'] as const;

/**
 * What the nodes have left, by the limit of each kubelet and by the requests of their pods. Pods that wait for a node take their room
 * before the pods of planes that are to come.
 *
 * @returns also how many pods wait
 */
export function freeRoom(nodes: NodeRoom[], pods: Pod[]): Room & { waiting: number } {
  const lasting = pods.filter(({ status }) => !['Succeeded', 'Failed'].includes(status?.phase ?? ''));
  const taken = new Map<string, Room>();
  for (const pod of lasting)
    if (pod.spec.nodeName !== undefined)
      taken.set(pod.spec.nodeName, added(taken.get(pod.spec.nodeName) ?? nothing, roomOf([pod as PodResources])));
  const open = nodes.filter(
    ({ spec }) => !spec?.unschedulable && !spec?.taints?.some(({ effect }) => effect.startsWith('No')),
  );
  const has = ({ status }: NodeRoom, what: keyof Room) => parseQuantity(status?.allocatable?.[what] ?? '0') ?? 0;
  const free = open.reduce((all, node) => {
    const used = taken.get(node.metadata.name) ?? nothing;
    return added(
      all,
      each((what) => Math.max(0, has(node, what) - used[what])),
    );
  }, nothing);
  const couldRun = (room: Room) => open.some((node) => resources.every((what) => room[what] <= has(node, what)));
  const waiting = lasting
    .filter((pod) => pod.spec.nodeName === undefined && isInQueue(pod))
    .map((pod) => roomOf([pod as PodResources]))
    .filter(couldRun);
  const ahead = waiting.reduce(added, nothing);
  return { ...each((what) => Math.max(0, free[what] - ahead[what])), waiting: waiting.length };
}

/** A pod with a gate is not given a node before somebody takes the gate away. */
const isInQueue = ({ metadata, spec }: Pod) =>
  metadata.deletionTimestamp === undefined && !(spec as { schedulingGates?: object[] }).schedulingGates?.length;

const each = (amount: (what: keyof Room) => number) =>
  Object.fromEntries(resources.map((what) => [what, amount(what)])) as Room;
const nothing = each(() => 0);
const added = (one: Room, other: Room) => each((what) => one[what] + other[what]);

function roomOf(pods: PodResources[]): Room {
  const amounts = sum(pods.map(podDemand));
  return { pods: pods.length, cpu: amounts['requests.cpu'] ?? 0, memory: amounts['requests.memory'] ?? 0 };
}

/** What one plane takes. Pure. */
export function roomOfPlane(spec: ClusterSpec): Room {
  return roomOf(planePods(spec));
}

/** How many planes, one after the other, have room, and what the next one would lack. Pure. */
export function fitting(free: Room, planes: Room[]): { count: number; lacks?: keyof Room } {
  let left = free;
  for (const [count, plane] of planes.entries()) {
    // Sums of 0.025 and the like are not exact.
    const lacks = resources.find((what) => plane[what] - left[what] > 1e-6);
    if (lacks) return { count, lacks };
    left = each((what) => left[what] - plane[what]);
  }
  return { count: planes.length };
}

/** Planes that have no pods yet. */
export interface Coming {
  student: Student;
  spec: ClusterSpec;
}

/**
 * Counts before anything is made whether the nodes have room for planes that are not there yet.
 *
 * @returns what was counted, as a sentence
 * @throws UserError `class` with the figures, unless `force`
 */
export async function countRoom(lesson: Lesson, coming: Coming[], force: boolean): Promise<string> {
  if (coming.length === 0) return 'no plane is missing or asleep';
  const planes = coming.map(({ spec }) => roomOfPlane(spec));
  const all = planes.reduce(added, nothing);
  const free = await freeOnNodes(lesson.cluster);
  const wanted = `${coming.length === 1 ? 'a plane is' : `${coming.length} planes are`} to get pods: ${all.pods}, which request ${formatQuantity('cpu', all.cpu)} of cpu and ${formatQuantity('memory', all.memory)} of memory`;
  if (!free)
    return `${wanted}; the room on the nodes was not counted: nodes and pods of all namespaces may not be listed with your rights`;
  const { count, lacks } = fitting(free, planes);
  const queue =
    free.waiting === 0
      ? ''
      : `, after ${free.waiting === 1 ? 'one' : free.waiting} that wait${free.waiting === 1 ? 's' : ''} for a node`;
  const has = `${free.nodes} nodes have room for ${free.pods} more pods, ${formatQuantity('cpu', free.cpu)} and ${formatQuantity('memory', free.memory)}${queue}`;
  if (lacks && !force) throw tooMany(count, coming.length, `${wanted}; ${has}`, lacks);
  // As many of the first one's kind as fit, for who thinks about a larger class.
  const more = fitting(free, Array(5000).fill(planes[0])).count;
  return `${wanted}; ${has}: ${more} such planes`;
}

/** What stands against waking planes, where something does: then their pods wait for room. What cannot be read, wake tells of each. */
export async function roomToWake(lesson: Lesson, students: Student[]): Promise<Words | undefined> {
  const asleep = await Promise.all(
    students.map(async (student) => {
      try {
        const record = await readRecord(clusterOf(lesson, student));
        const spec = () => specRecorded(record!);
        return record?.asleep ? [{ student, spec: spec() }] : [];
      } catch {
        return [];
      }
    }),
  );
  const coming = asleep.flat();
  const short = await shortOfQuota(lesson, coming);
  const room = await countRoom(
    lesson,
    coming.filter(({ student }) => !short.has(student)),
    false,
  ).then(
    () => [],
    (error: unknown) => [said(error)],
  );
  const against = [...[...short].map(([{ name }, error]) => words`${name}: ${said(error)}`), ...room];
  return against.length > 0 ? joined(against, '\n') : undefined;
}

async function freeOnNodes(cluster: InfraCluster): Promise<(Room & { nodes: number; waiting: number }) | undefined> {
  try {
    const [nodes, pods] = await Promise.all([
      cluster.listEverywhere<NodeRoom>({ apiVersion: 'v1', kind: 'Node' }),
      cluster.listEverywhere<Pod>({ apiVersion: 'v1', kind: 'Pod' }),
    ]);
    return { ...freeRoom(nodes.items, pods.items), nodes: nodes.items.length };
  } catch (error) {
    if (isForbidden(error)) return undefined;
    throw explainCallError(error, 'list the nodes and pods of the infra cluster');
  }
}

/** Students whose namespace has a quota that leaves too little for the plane; deploy counts exactly, when its turn comes. */
export async function shortOfQuota(lesson: Lesson, coming: Coming[]): Promise<Map<Student, UserError>> {
  const found = await Promise.all(
    coming.map(async ({ student, spec }) => [student, await quotaShort(clusterOf(lesson, student), spec)] as const),
  );
  return new Map(found.flatMap(([student, error]) => (error ? [[student, error] as const] : [])));
}

/** What stands against the pods of a plane in the quotas of its namespace. @returns undefined also where they may not be read */
export async function quotaShort(cluster: InfraCluster, spec: ClusterSpec): Promise<UserError | undefined> {
  const { namespace } = cluster;
  const quotas = await cluster.list<Quota>({ apiVersion: 'v1', kind: 'ResourceQuota' }).catch(() => undefined);
  const { pods, cpu, memory } = roomOfPlane(spec);
  const wanted = { pods, 'count/pods': pods, cpu, memory, 'requests.cpu': cpu, 'requests.memory': memory };
  const [first] = shortages(quotas?.items ?? [], wanted);
  if (!first) return undefined;
  const amount = (value: number) => formatQuantity(first.resource, value);
  return new UserError({
    what: `the quota of namespace "${namespace}" has no room for a plane`,
    why: `quota "${first.quota}" leaves ${amount(first.free)} of ${first.resource}, and a plane takes ${amount(first.wanted)}`,
    fix: words`ask the administrator of the infra cluster for a larger quota, or free some of it (kubectl -n ${namespace} describe quota); ${option('force')} tries it nevertheless`,
    anchor: 'quota',
    kind: 'refused',
  });
}

const reasons: Record<keyof Room, string> = {
  pods: 'each kubelet runs a limited number of pods (maxPods, 110 by default: 27 planes of 4), however small they are',
  cpu: 'the scheduler gives a pod to no node whose cpu is requested by others',
  memory: 'the scheduler gives a pod to no node whose memory is requested by others',
};

function tooMany(count: number, planes: number, figures: string, lacks: keyof Room): UserError {
  return new UserError({
    what: `${count} of ${planes} planes have room on the nodes of the infra cluster`,
    why: `${figures}; ${reasons[lacks]}`,
    fix: words`add nodes, let planes sleep that nobody needs now, or make the planes in parts with a shorter roster; ${option('force')} begins nevertheless, and the others wait for room`,
    anchor: 'class',
    kind: 'refused',
  });
}
