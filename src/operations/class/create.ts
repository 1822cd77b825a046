import { parseSpec } from '../../config/parse.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { Secret } from '../../kube/objects.ts';
import { Existing } from '../../live/apply.ts';
import { lifetimeOf, readLifetimeJob } from '../../live/lifetime.ts';
import { readRecord, requireRecord } from '../../live/record.ts';
import type { PlaneRecord } from '../../plane/record.ts';
import { readBundle } from '../../plane/secrets.ts';
import { type DeployResult, deploy } from '../deploy/deploy.ts';
import type { WantedLifetime } from '../deploy/lifetime.ts';
import type { SpecChoice } from '../deploy/spec-choice.ts';
import { destroy } from '../destroy.ts';
import { requireRoom } from './capacity.ts';
import { ensureNamespace } from './namespaces.ts';
import { clusterOf, forEach, type Lesson, type Outcome, type Student } from './queue.ts';

export interface ClassRequest {
  /** Name of the class. */
  name: string;
  students: Student[];
  /** The whole spec of a student's plane, as deploy takes it. */
  choose(student: Student): SpecChoice;
  /** Folder for the files of a student. */
  folder(student: Student): string;
  lifetime?: WantedLifetime;
  cacheFolder?: string;
  /** As deploy takes it. */
  webhookKubeconfig?: string;
  /** Only existing namespaces are used. */
  existing: boolean;
  /** Begins although the nodes have no room for all pods. */
  force: boolean;
}

/**
 * Makes or repairs a plane for every student. Run again with another roster, it makes planes for new students and does not
 * change the others.
 *
 * @returns how each one ended, and whether the room for pods on the nodes was counted
 * @throws UserError `class` before anything is made when there is no room for all
 */
export async function createClass(
  lesson: Lesson,
  request: ClassRequest,
): Promise<{ outcomes: Outcome<DeployResult>[]; counted: boolean }> {
  const specs = await specsToCome(lesson, request);
  const counted = request.force || (await requireRoom(lesson.cluster, specs));
  const { name, students, existing, choose, folder, lifetime, cacheFolder, webhookKubeconfig } = request;
  const options = { lifetime, cacheFolder, webhookKubeconfig, allowDataLoss: false };
  const outcomes = await forEach(
    students,
    lesson,
    ['deploying', ({ applied }: DeployResult) => (applied.created.length > 0 ? 'created' : 'available')],
    async (cluster, student, work) => {
      await ensureNamespace(cluster, name, student, { existing });
      const files = { dir: folder(student), force: false };
      return deploy(cluster, { ...work, ...options, choose: choose(student), files });
    },
  );
  return { outcomes, counted };
}

/** Specs of planes that have no pods yet. deploy reports a record that cannot be read. */
async function specsToCome(lesson: Lesson, { students, choose }: ClassRequest): Promise<ClusterSpec[]> {
  const records = await Promise.all(
    students.map((student) => readRecord(clusterOf(lesson, student)).catch(() => undefined)),
  );
  return students.flatMap((student, index) => {
    const record = records[index];
    return record && !record.asleep ? [] : [choose(student)(record)];
  });
}

/**
 * Deletes a student's plane and makes it again with the same options and the same end, with new CAs and without data.
 *
 * @param options `folder`: where its kubeconfig is replaced
 */
export function resetPlane(
  student: Student,
  lesson: Lesson,
  { folder, cacheFolder }: { folder: string; cacheFolder?: string },
): Promise<Outcome<DeployResult>[]> {
  let before: { record: PlaneRecord; lifetime: WantedLifetime; webhookKubeconfig?: string } | undefined;
  return forEach([student], lesson, ['resetting', 'available'], async (cluster, _, work) => {
    before ??= {
      record: await requireRecord(cluster),
      lifetime: await lifetimeNow(cluster),
      webhookKubeconfig: readBundle((await Existing.read(cluster)).ofKind<Secret>('Secret'))?.webhook,
    };
    const { record, ...asBefore } = before;
    // After an earlier try, the old plane may be gone already.
    const present = await readRecord(cluster);
    if (present?.planeId === record.planeId) await destroy(cluster, { ...work, agreed: record });
    const files = { dir: folder, force: true };
    return deploy(cluster, { ...work, ...asBefore, choose: asItWas(record), files, cacheFolder, allowDataLoss: false });
  });
}

async function lifetimeNow(cluster: InfraCluster): Promise<WantedLifetime> {
  const endsAt = lifetimeOf(await readLifetimeJob(cluster))?.endsAt;
  return endsAt === undefined ? undefined : { at: new Date(endsAt) };
}

function asItWas({ spec }: PlaneRecord): SpecChoice {
  return () => parseSpec({ ...spec, allowUntestedVersion: true }, 'in the record of the plane');
}
