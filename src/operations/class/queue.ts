import pLimit from 'p-limit';
import { messageOf, said, UserError } from '../../base/errors.ts';
import { again, command, joined, option, type Words, words } from '../../base/words.ts';
import { field } from '../../config/flags.ts';
import { explainCallError, missingRight } from '../../kube/errors.ts';
import { InfraCluster } from '../../kube/infra-cluster.ts';
import type { Reporter } from '../../ui/reporter.ts';
import type { Patience, Work } from '../../ui/work.ts';
import { refuseOtherClass } from './of-class.ts';

/** One line of the roster. */
export interface Student {
  /** A DNS label, the student's key. */
  name: string;
  /** What stands on the printed page. */
  title?: string;
  /** User of the infra cluster who gets rights in the namespace of the plane; usually there is none. */
  user?: string;
  namespace: string;
  /** Empty where neither the roster nor a pattern says it: then it is that of the plane. */
  host: string;
}

/** Receives the progress of each student's plane. */
interface Board {
  /** @param state a word: `queued`, `deploying`, `available`; @param detail what is being waited for, or what went wrong */
  tell(student: string, state: string, detail?: Words): void;
  /** Reporter for the operation on the plane of a student. */
  reporterOf(student: string, state: string): Reporter;
}

/** How the planes of a class are worked on. */
export interface Lesson extends Patience {
  /** Any namespace of the infra cluster: how it is reached, and who works. */
  cluster: InfraCluster;
  /** Name of the class: namespaces of another one are refused. */
  className?: string;
  /** How many planes are worked on at once. */
  parallel: number;
  board: Board;
}

export type Outcome<T> = { student: Student; result: T } | { student: Student; error: unknown };

/** How often a plane is tried: one that was not available in time, in a slow hour, continues where it stopped. */
const tries = 5;

export function clusterOf({ cluster }: Pick<Lesson, 'cluster'>, { namespace }: Student): InfraCluster {
  const { sealKey, actor, hostedBy } = cluster;
  return new InfraCluster(cluster.transport, namespace, { sealKey, actor, hostedBy });
}

/**
 * Works on the planes of all students, some at a time. A plane that fails is tried again after all others; a refused one is
 * not, because it would be refused again.
 *
 * @param state shown on the board during the work: `deploying`
 * @param done shown after the work
 * @throws the signal's reason
 */
export async function forEach<T>(
  students: Student[],
  lesson: Lesson,
  [state, done]: [state: string, done: string | ((result: T) => string)],
  run: (cluster: InfraCluster, student: Student, work: Work) => Promise<T>,
): Promise<Outcome<T>[]> {
  const { board, signal, timeout } = lesson;
  const outcomes = new Map<Student, Outcome<T>>();
  const one = async (student: Student) => {
    signal.throwIfAborted();
    const reporter = board.reporterOf(student.name, state);
    board.tell(student.name, state);
    try {
      const cluster = clusterOf(lesson, student);
      if (lesson.className !== undefined) await refuseOtherClass(cluster, lesson.className);
      const result = await run(cluster, student, { reporter, timeout, signal });
      board.tell(student.name, typeof done === 'string' ? done : done(result));
      outcomes.set(student, { student, result });
    } catch (cause) {
      signal.throwIfAborted();
      const error = explainedFor(student, cause);
      board.tell(student.name, isFinal(error) ? 'refused' : 'failed', said(error));
      outcomes.set(student, { student, error });
    }
  };
  for (const student of students) board.tell(student.name, 'queued');
  let left = students;
  for (let attempt = 1; left.length > 0 && attempt <= tries; attempt++) {
    const limit = pLimit(lesson.parallel);
    await Promise.all(left.map((student) => limit(() => one(student))));
    left = left.filter((student) => {
      const outcome = outcomes.get(student)!;
      return 'error' in outcome && !isFinal(outcome.error);
    });
  }
  return students.map((student) => outcomes.get(student)!);
}

const givenByAdministrator = words`give the administrator of the infra cluster what ${command('class rights', undefined, option('export'), option('teacher', 'YOUR-USER'))} prints, with the same ${option('file')}`;

/** A right that is missing is missing at the next try too, and the administrator gives it for all students at once. */
function explainedFor({ namespace }: Student, cause: unknown): unknown {
  const error = explainCallError(cause, `work in namespace "${namespace}"`);
  if (error instanceof UserError && error.anchor === 'log-account')
    return new UserError({
      ...error,
      fix: words`${givenByAdministrator}, ${field('logs')} among its options; or leave that out`,
    });
  const right = missingRight(cause) ?? (error instanceof UserError ? missingRight(error.cause) : undefined);
  if (!right) return error;
  return new UserError({
    what: `in namespace "${namespace}" you may not ${right.verb} ${right.resource}, or there is no such namespace`,
    why: `the infra cluster's API server answered 403: ${messageOf(cause instanceof UserError ? cause.cause : cause)}`,
    fix: givenByAdministrator,
    anchor: 'class',
    kind: 'refused',
    cause,
  });
}

function isFinal(error: unknown): boolean {
  return error instanceof UserError && error.kind !== 'failed';
}

/**
 * @throws UserError `class` that names each student whose plane could not be made as asked; a single error is thrown unchanged
 */
export function demandAll<T>(outcomes: Outcome<T>[], what: string): T[] {
  const failed = outcomes.flatMap((outcome) => ('error' in outcome ? [outcome] : []));
  if (failed.length === 1 && outcomes.length === 1) throw failed[0]!.error;
  if (failed.length > 0)
    throw new UserError({
      what: `${failed.length} of ${outcomes.length} planes ${what}: ${failed.map(({ student }) => student.name).join(', ')}`,
      why: joined(
        failed.map(({ student, error }) => words`${student.name} (namespace ${student.namespace}): ${said(error)}`),
        '\n',
      ),
      fix: words`correct what the messages name and ${again}: complete planes do not change`,
      anchor: 'class',
      cause: failed[0]!.error,
    });
  return outcomes.flatMap((outcome) => ('result' in outcome ? [outcome.result] : []));
}
