import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import * as z from 'zod';
import { didYouMean } from '../../base/did-you-mean.ts';
import { UserError } from '../../base/errors.ts';
import { fileError } from '../../base/file-error.ts';
import { connectInfra } from '../../kube/connect.ts';
import { withFileLock } from '../../kubeconfig/lock.ts';
import { writeFileAtomically } from '../../kubeconfig/write.ts';
import { removeFiles } from '../../operations/class/handout.ts';
import type { Lesson, Student } from '../../operations/class/queue.ts';
import { LiveBoard } from '../../ui/board.ts';
import type { Patience } from '../../ui/work.ts';
import { type ConnectionOptions, contextOf, interruption, parseDuration } from './connection.ts';
import { proposed, readRoster } from './roster.ts';
import { thisProcess } from './this-process.ts';

/** Options of every command of a class. */
export interface ClassOptions extends ConnectionOptions {
  file: string;
  name?: string;
  dir?: string;
  host?: string;
  withOperator?: boolean;
  parallel?: string;
  timeout?: string;
}

export interface ClassFile {
  name: string;
  /** Of namespaces. */
  pattern: string;
  students: Student[];
  /** Folder with a folder for each student. */
  dir: string;
  /** Students of earlier runs who are not on the roster any more, with their namespaces of then. */
  former: Student[];
  /** Where an earlier run left a student of the roster who is in another namespace now. */
  moved: { name: string; from: string; to: string }[];
  /** Whether an earlier run knew a student, so that what is in the student's folder is of this class. */
  isKnown(student: Student): boolean;
  /** The operator makes the planes that are not there yet. */
  operator: boolean;
}

/** What later commands need not be told again; of students, also what was in a column of the roster by which they may not be found any more. */
const settings = z.object({
  namespace: z.string(),
  host: z.string().optional(),
  operator: z.boolean().optional(),
  students: z.record(z.string(), z.object({ namespace: z.string(), host: z.string() })).default({}),
});

type Settings = z.infer<typeof settings>;

/** Options that say which class, and where its infra cluster is. */
export function addClassOptions(command: Command): Command {
  return command
    .helpOption('--help', 'show help')
    .requiredOption('-f, --file <FILE>', 'the roster, CSV or YAML: student, and as wanted title, user, namespace, host')
    .option('--name <CLASS>', "of the class; default: the roster's file name")
    .option('-n, --namespace <PATTERN>', 'namespace of each student; default CLASS-{student}, then as it was')
    .option('--dir <DIR>', 'folder with a folder for each student; default: the name of the class')
    .option('--kubeconfig <FILE>', 'kubeconfig of the infra cluster; default KUBECONFIG or ~/.kube/config')
    .option('--context <NAME>', 'context of the kubeconfig; default its current one');
}

/** For commands that work on the planes. */
export function addLessonOptions(command: Command, timeout: string): Command {
  return command
    .option('--parallel <N>', 'how many planes are worked on at once', '2')
    .option('--timeout <TIME>', 'how long one plane may take at a time', timeout)
    .option('--quiet', 'only warnings and errors');
}

/** The class of a roster, with what an earlier command was told. @throws UserError (kind `usage`) */
export function readClass(options: ClassOptions): ClassFile {
  const name = options.name ?? proposed(path.basename(options.file).replace(/\.[^.]*$/, ''));
  if (!/^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/.test(name))
    throw usage(
      options.name === undefined
        ? `no name for the class follows from the name of the file, ${options.file}`
        : `--name "${name}" is no name for a class`,
      'give --name with at most 32 lower-case letters, digits and -',
    );
  const dir = options.dir ?? name;
  const before = readSettings(dir);
  const patterns = {
    namespace: options.namespace ?? before?.namespace ?? `${name}-{student}`,
    host: options.host ?? before?.host,
  };
  for (const [flag, pattern] of [
    ['-n', patterns.namespace],
    ['-h', patterns.host],
  ] as const)
    if (pattern !== undefined && !pattern.includes('{student}'))
      throw usage(
        `${flag} "${pattern}" has no {student} in it, so it would be the same for every student`,
        `write for example ${flag} '${flag === '-n' ? 'linux-{student}' : '{student}.k.example.com'}'`,
      );
  const students = readRoster(options.file, patterns);
  const known = new Set(students.map((student) => student.name));
  const earlier = new Map(Object.entries(before?.students ?? {}));
  return {
    name,
    pattern: patterns.namespace,
    students,
    dir,
    former: [...earlier].filter(([each]) => !known.has(each)).map(([each, rest]) => ({ name: each, ...rest })),
    moved: students.flatMap(({ name: each, namespace }) => {
      const from = earlier.get(each)?.namespace;
      return from === undefined || from === namespace ? [] : [{ name: each, from, to: namespace }];
    }),
    isKnown: (student) => earlier.has(student.name),
    operator: options.withOperator ?? before?.operator ?? false,
  };
}

const fileOf = (dir: string) => path.join(dir, 'class.json');

function readSettings(dir: string): Settings | undefined {
  const file = fileOf(dir);
  if (!existsSync(file)) return undefined;
  try {
    return settings.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    throw fileError('read', file, error) instanceof UserError
      ? fileError('read', file, error)
      : usage(`${file} is damaged`, 'delete it, and give -n and -h again');
  }
}

/** Keeps the patterns for later commands, and where students are; before their planes are made, so that a run that is killed is known too. */
export async function keepSettings(
  dir: string,
  patterns: Partial<Omit<Settings, 'students'>>,
  students: Student[],
): Promise<void> {
  const now = Object.fromEntries(students.map(({ name, namespace, host }) => [name, { namespace, host }]));
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  await withFileLock(fileOf(dir), () => {
    const before = readSettings(dir);
    return writeSettings(dir, { ...before, ...patterns, students: { ...before?.students, ...now } });
  });
}

async function writeSettings(dir: string, all: Partial<Settings>): Promise<void> {
  await writeFileAtomically(fileOf(dir), `${JSON.stringify(all, null, 2)}\n`);
}

/** Forgets students whose planes are gone, and removes what was written for them; a file that is not of k8sk8s stays with its folder. */
export async function forgetStudents(dir: string, gone: string[]): Promise<void> {
  for (const student of gone) {
    removeFiles(path.join(dir, student));
    removeIfEmpty(path.join(dir, student));
  }
  await withFileLock(fileOf(dir), async () => {
    const before = readSettings(dir);
    const students = Object.entries(before?.students ?? {}).filter(([name]) => !gone.includes(name));
    if (students.length > 0) return writeSettings(dir, { ...before, students: Object.fromEntries(students) });
    rmSync(fileOf(dir), { force: true });
  });
  removeIfEmpty(dir);
}

function removeIfEmpty(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder);
}

/** The student of that name; all of them where none is named. @throws UserError (kind `usage`) */
export function chosenStudents(of: ClassFile, name: string | undefined, also: Student[] = []): Student[] {
  if (name === undefined) return of.students;
  const found = [...of.students, ...also].find((student) => student.name === name);
  if (found) return [found];
  const names = of.students.map((student) => student.name);
  throw usage(
    `there is no student "${name}" on the roster${didYouMean(name, names)}`,
    'correct the name or the roster',
  );
}

/** Opens the infra cluster, works on planes under a live board, and closes both. */
export async function teach<T>(
  className: string,
  options: ClassOptions,
  students: Student[],
  run: (lesson: Lesson) => Promise<T>,
): Promise<T> {
  const patience: Patience = { timeout: parseDuration(options.timeout ?? '5m', '--timeout'), signal: interruption() };
  const parallel = Number(options.parallel ?? '2');
  if (!Number.isInteger(parallel) || parallel < 1)
    throw usage(`--parallel ${options.parallel}`, 'give a number from 1 on');
  const cluster = connectInfra(contextOf(options).connection, 'default', { actor: thisProcess() });
  const rows = students.map(({ name }) => name);
  const board = new LiveBoard({ title: 'STUDENT', rows, quiet: options.quiet });
  try {
    return await run({ cluster, className, parallel, board, ...patience });
  } finally {
    board.end();
    await cluster.close();
  }
}

function usage(what: string, fix: string): UserError {
  return new UserError({ what, fix, anchor: 'bad-values', kind: 'usage' });
}
