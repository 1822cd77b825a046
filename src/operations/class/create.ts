import { said, UserError } from '../../base/errors.ts';
import { words } from '../../base/words.ts';
import { withoutLife } from '../../config/hosted-control-plane.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { KubeObject } from '../../kube/objects.ts';
import { followsObject, objectOf } from '../../live/followed.ts';
import { readRecord } from '../../live/record.ts';
import type { PlaneRecord } from '../../plane/record.ts';
import type { Reporter } from '../../ui/reporter.ts';
import type { Work } from '../../ui/work.ts';
import { type DeployResult, deploy } from '../deploy/deploy.ts';
import type { WantedLifetime } from '../deploy/lifetime.ts';
import type { SpecChoice } from '../deploy/spec-choice.ts';
import { type Coming, countRoom, shortOfQuota } from './capacity.ts';
import { removeFiles } from './handout.ts';
import { ensureNamespace } from './namespaces.ts';
import { clusterOf, forEach, type Lesson, type Outcome, type Student } from './queue.ts';

/** An object for a plane as it was made or changed; the operator is to follow. */
export interface AskedPlane {
  object: KubeObject;
  created: number;
  changed: number;
}

export interface MadePlane {
  server: string;
  /** Absent of a plane that sleeps and is the operator's. */
  kubeconfig?: string;
  /** Objects: of the plane, or the one that the operator follows. */
  created: number;
  changed: number;
}

/** How the operator is asked for a plane. */
export interface ByObject {
  /** Whether planes that are not there yet are made so. */
  all: boolean;
  /** Makes or changes the object. */
  ask(cluster: InfraCluster, student: Student): Promise<AskedPlane>;
  /** Waits for the plane, and writes its files. */
  wait(
    cluster: InfraCluster,
    asked: AskedPlane,
    files: { dir: string; force: boolean },
    work: Work,
  ): Promise<MadePlane>;
}

export interface ClassRequest {
  /** Name of the class. */
  name: string;
  students: Student[];
  /** The whole spec of a student's plane, as deploy takes it. */
  choose(student: Student): SpecChoice;
  /** Folder for the files of a student. */
  folder(student: Student): string;
  /** Whether what is in that folder is of this class, from an earlier run. */
  isKnown(student: Student): boolean;
  byObject: ByObject;
  /** What a namespace that is made has besides. */
  further(student: Student): KubeObject[];
  lifetime?: WantedLifetime;
  cacheFolder?: string;
  /** As deploy takes it. */
  webhookKubeconfig?: string;
  /** Only existing namespaces are used. */
  existing: boolean;
  /** Begins although the nodes have no room for all pods. */
  force: boolean;
  /** Told what was counted, before anything is made. */
  reporter: Reporter;
}

interface Refused {
  student: Student;
  error: UserError;
}

/** How many planes are waited for at a time that the operator makes: it has a queue of its own. */
const waits = 8;

/**
 * Makes or repairs a plane for every student. Run again with another roster, it makes planes for new students and does not
 * change the others.
 *
 * @throws UserError `class` before anything is made when there is no room for all
 */
export async function createClass(lesson: Lesson, request: ClassRequest): Promise<Outcome<MadePlane>[]> {
  const { byObject } = request;
  const unfit = await refusedOrCounted(lesson, request);
  for (const { student, error } of unfit.values()) lesson.board.tell(student.name, 'refused', said(error));
  const students = request.students.filter((student) => !unfit.has(student));
  const asked = new Map<Student, AskedPlane>();
  // The operator goes on with all of them, whatever becomes of this run.
  const before = byObject.all
    ? await forEach(students, lesson, ['applying', 'applied'], async (cluster, student) => {
        await prepare(cluster, student, request);
        asked.set(student, await byObject.ask(cluster, student));
      })
    : [];
  const refused = new Map<Student, Outcome<MadePlane>>(unfit);
  for (const outcome of before) if ('error' in outcome) refused.set(outcome.student, outcome);
  const made = await forEach(
    students.filter((student) => !refused.has(student)),
    byObject.all ? { ...lesson, parallel: Math.max(waits, lesson.parallel) } : lesson,
    ['deploying', ({ created }: MadePlane) => (created > 0 ? 'created' : 'available')],
    async (cluster, student, work) => {
      const files = { dir: request.folder(student), force: false };
      if (!byObject.all) await prepare(cluster, student, request);
      if (!byObject.all && !(await followsObject(cluster))) return byDeploy(cluster, student, request, work);
      const ticket = asked.get(student) ?? (await byObject.ask(cluster, student));
      asked.set(student, ticket);
      return byObject.wait(cluster, ticket, files, work);
    },
  );
  const outcomes = new Map([...refused, ...made.map((outcome) => [outcome.student, outcome] as const)]);
  return request.students.map((student) => outcomes.get(student)!);
}

/** One student's quota keeps nobody else from a plane; room on the nodes is for all. @returns who can have no plane as things are */
async function refusedOrCounted(lesson: Lesson, request: ClassRequest): Promise<Map<Student, Refused>> {
  const { coming, refused } = await planesToCome(lesson, request);
  const short = request.force ? new Map<Student, UserError>() : await shortOfQuota(lesson, coming);
  for (const [student, error] of short) refused.set(student, { student, error });
  const fit = coming.filter(({ student }) => !short.has(student));
  if (fit.length > 0 || short.size === 0) request.reporter.line(await countRoom(lesson, fit, request.force));
  return refused;
}

async function prepare(cluster: InfraCluster, student: Student, request: ClassRequest) {
  const { name, existing, further, isKnown, folder } = request;
  await ensureNamespace(cluster, name, student, { existing, further: further(student) });
  // Files of a plane that is gone would keep the next one's from being written: a reset may have been killed in between.
  if (isKnown(student) && !(await readRecord(cluster))) removeFiles(folder(student));
}

async function byDeploy(
  cluster: InfraCluster,
  student: Student,
  { choose, folder, lifetime, cacheFolder, webhookKubeconfig }: ClassRequest,
  work: Work,
): Promise<MadePlane> {
  const options = { lifetime, cacheFolder, webhookKubeconfig, allowDataLoss: false };
  const files = { dir: folder(student), force: false };
  return madeByDeploy(await deploy(cluster, { ...work, ...options, choose: choose(student), files }));
}

export function madeByDeploy({ addresses, files, applied }: DeployResult): MadePlane {
  return {
    server: addresses.publicServer,
    kubeconfig: files?.kubeconfig,
    created: applied.created.length,
    changed: applied.changed.length,
  };
}

/**
 * Planes that have no pods yet, and students who can have none with these options. What cannot be read, the work on that plane reports.
 *
 * @throws UserError where the options are wrong for all students alike
 */
async function planesToCome(
  lesson: Lesson,
  { students, choose }: ClassRequest,
): Promise<{ coming: Coming[]; refused: Map<Student, Refused> }> {
  const refused = new Map<Student, Refused>();
  const coming = await Promise.all(
    students.map(async (student) => {
      const cluster = clusterOf(lesson, student);
      const record = await readRecord(cluster).catch(() => 'unreadable' as const);
      if (record !== 'unreadable' && record && !record.asleep) return [];
      const isRead = record !== 'unreadable';
      const known = (isRead && record) || (await asRecorded(cluster).catch(() => undefined));
      try {
        return [{ student, spec: choose(student)(known) }];
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        if (isRead) refused.set(student, { student, error });
        return [];
      }
    }),
  );
  const [first] = refused.values();
  if (first && refused.size === students.length) throw ofStudent(first);
  return { coming: coming.flat(), refused };
}

/** What an object says of which no plane is there yet. */
async function asRecorded(cluster: InfraCluster): Promise<PlaneRecord | undefined> {
  const object = await objectOf(cluster);
  return object && ({ phase: 'available', spec: withoutLife(object.spec) } as PlaneRecord);
}

/** A student's own may be the value that is wrong. */
function ofStudent({ student: { name }, error }: Refused): UserError {
  const { what, why, fix, anchor, kind } = error;
  return new UserError({ what: words`student "${name}": ${what}`, why, fix, anchor, kind, cause: error });
}
