import path from 'node:path';
import type { Command } from 'commander';
import { dump } from 'js-yaml';
import { cacheRoot } from '../base/cache-root.ts';
import { UserError } from '../base/errors.ts';
import { createClass, resetPlane } from '../operations/class/create.ts';
import { endClass } from '../operations/class/end.ts';
import { writeHandout } from '../operations/class/handout.ts';
import { classObjects } from '../operations/class/namespaces.ts';
import { demandAll, forEach, type Student } from '../operations/class/queue.ts';
import { classStatus, type StudentStatus } from '../operations/class/status.ts';
import type { SpecChoice } from '../operations/deploy/spec-choice.ts';
import { sleepPlane, wakePlane } from '../operations/sleep.ts';
import type { PlaneRecord } from '../plane/record.ts';
import { formatAge } from '../ui/age.ts';
import { table } from '../ui/table.ts';
import { explained } from '../ui/words.ts';
import { chooseSpec } from './options/chosen-spec.ts';
import {
  addClassOptions,
  addLessonOptions,
  type ClassOptions,
  chosenStudents,
  keepSettings,
  readClass,
  removeFolders,
  teach,
} from './options/class-options.ts';
import { confirm } from './options/confirm.ts';
import { outputOption, reporterOf } from './options/connection.ts';
import { parseLifetime } from './options/lifetime.ts';
import { print } from './options/print.ts';
import { addSpecOptions, type KubeconfigFile } from './options/spec-options.ts';

interface CreateOptions extends Omit<ClassOptions, 'host'> {
  /** As often as it was given. */
  host?: string[];
  namespaces?: boolean;
  force?: boolean;
  ttl?: string;
  expiresAt?: string;
  authorizationWebhook?: KubeconfigFile;
  output: string;
}

interface Confirmed extends ClassOptions {
  yes?: boolean;
  output: string;
}

export function configure(command: Command): void {
  const add = (name: string, description: string) => addClassOptions(command.command(name).description(description));
  const create = add('create', 'make or repair a plane for every student of a roster');
  addSpecOptions(create);
  addLessonOptions(create, '5m')
    .option('--namespaces', 'use existing namespaces, and make none')
    .option('--ttl <TIME>', 'how long the planes exist, from now; none: they do not end')
    .option('--expires-at <TIME>', 'the same as a time: 2026-12-31T18:00:00+01:00')
    .option('--force', 'begin also where the nodes have no room for the pods of all planes')
    .addOption(outputOption())
    .addHelpText('after', examples)
    .action(runCreate);
  add('rights', 'the objects that the administrator of the infra cluster makes for a class')
    .requiredOption('--export', 'print them: namespaces, quotas, Roles and RoleBindings')
    .option('--teacher <USER>', 'user of the infra cluster who has these rights in each of the namespaces')
    .action(runRights);
  add('status', 'show the plane of each student; exit code 1 when something is wrong')
    .addOption(outputOption())
    .action(runStatus);
  addLessonOptions(add('reset', 'replace the plane of a student by a new one without data').argument('<STUDENT>'), '5m')
    .option('--yes', 'do not ask')
    .addOption(outputOption())
    .action(runReset);
  addLessonOptions(add('sleep', 'let all planes sleep, or one').argument('[STUDENT]'), '2m').action(runSleep);
  addLessonOptions(add('wake', 'wake all planes, or one').argument('[STUDENT]'), '5m').action(runWake);
  add('handout', 'write a kubeconfig and a page to print for every student')
    .addOption(outputOption())
    .action(runHandout);
  addLessonOptions(add('end', 'delete all planes, or that of one student').argument('[STUDENT]'), '3m')
    .option('--yes', 'do not ask')
    .addOption(outputOption())
    .action(runEnd);
}

const examples = `
The planes are of the profile lite, unless another one is given. Options that are not given again keep what a plane was deployed with.

  k8sk8s class create -f linux.csv -h '{student}.k.example.com'     a plane for each line, two made at a time
  k8sk8s class create -f linux.csv                                  again, when the roster has changed
  k8sk8s class handout -f linux.csv                                 linux/STUDENT/kubeconfig and page.html`;

async function runCreate(_: unknown, command: Command): Promise<void> {
  const options = command.opts<CreateOptions>();
  const lifetime = parseLifetime(options, new Date());
  const host = patternOf(options);
  // The pattern is no host yet.
  command.setOptionValue('host', undefined);
  if (command.getOptionValue('profile') === undefined) command.setOptionValueWithSource('profile', 'lite', 'cli');
  const given: ClassOptions = { ...options, host };
  const of = readClass(given);
  await keepSettings(of.dir, {
    namespace: options.namespace ?? `${of.name}-{student}`,
    ...(host !== undefined && { host }),
  });
  const { outcomes, counted } = await teach(given, of.students, (lesson) =>
    createClass(lesson, {
      name: of.name,
      students: of.students,
      choose: (student) => specOf(command, student),
      folder: (student) => path.join(of.dir, student.name),
      lifetime,
      cacheFolder: cacheRoot(),
      webhookKubeconfig: options.authorizationWebhook?.text,
      existing: options.namespaces ?? false,
      force: options.force ?? false,
    }),
  );
  const reporter = reporterOf(options);
  if (!counted && !options.force)
    reporter.warn('the pods that the nodes take were not counted: nodes may not be listed with your rights');
  for (const { name, namespace } of of.former)
    reporter.warn(
      `"${name}" is not on the roster any more (namespace ${namespace}): k8sk8s class end -f ${options.file} ${name} takes the plane away`,
    );
  const results = demandAll(outcomes, 'are not as they were to be');
  const data = of.students.map(({ name, namespace }, index) => ({
    student: name,
    namespace,
    server: results[index]!.addresses.publicServer,
    kubeconfig: results[index]!.files?.kubeconfig,
    created: results[index]!.applied.created.length,
    changed: results[index]!.applied.changed.length,
  }));
  print(options, { class: of.name, students: data }, () =>
    reporter.line(`${data.length} planes are available. For the students: k8sk8s class handout -f ${options.file}`),
  );
}

/** @throws UserError `bad-values` for several: a plane of a class has one name */
function patternOf({ host = [] }: CreateOptions): string | undefined {
  const [pattern, ...more] = host;
  if (more.length === 0) return pattern;
  throw new UserError({
    what: `--host was given ${host.length} times`,
    why: 'the planes of a class have one name each',
    fix: "give one pattern: -h '{student}.k.example.com'",
    anchor: 'bad-values',
    kind: 'usage',
  });
}

/** The given options over what the plane has, with the host of the student. */
function specOf(command: Command, { name, namespace, host }: Student): SpecChoice {
  const choose = chooseSpec(command, undefined).completeIn(namespace);
  return (recorded) => {
    const before = recorded ?? ({ phase: 'deploying', spec: {} } as unknown as PlaneRecord);
    if (host === '' && before.spec.host === undefined && command.getOptionValue('expose') !== 'cluster')
      throw noHost(name);
    return choose({ ...before, spec: { ...before.spec, ...(host !== '' && { host }) } });
  };
}

function noHost(student: string): UserError {
  return new UserError({
    what: `no host name was given for the plane of student "${student}"`,
    why: 'kubectl and workers reach a plane by it, so it goes into certificates and kubeconfigs',
    fix: "say how host names are made: -h '{student}.k.example.com'; or give the roster a column host",
    anchor: 'bad-values',
    kind: 'usage',
  });
}

function runRights(options: ClassOptions & { teacher?: string }): void {
  const of = readClass(options);
  const objects = of.students.flatMap((student) =>
    classObjects(
      of.name,
      student,
      [options.teacher, student.user].filter((user) => user !== undefined),
    ),
  );
  process.stdout.write(objects.map((object) => `---\n${dump(object, { noRefs: true, lineWidth: -1 })}`).join(''));
}

async function runStatus(options: ClassOptions & { output: string }): Promise<void> {
  const of = readClass(options);
  const statuses = await teach({ ...options, quiet: true }, of.students, (lesson) => classStatus(lesson, of.students));
  print(options, { class: of.name, students: statuses }, () => renderStatus(statuses, new Date()));
  if (statuses.some(({ healthy }) => !healthy)) process.exitCode = 1;
}

function renderStatus(statuses: StudentStatus[], now: Date): string {
  return table(
    ['STUDENT', 'NAMESPACE', 'HOST', 'STATE', 'WORKERS', 'ENDS', 'PROBLEM'],
    statuses.map(({ student, namespace, host, state, workers, endsAt, problems }) => [
      student,
      namespace,
      host,
      state,
      workers ? `${workers.ready}/${workers.all}` : '',
      endsAt === undefined ? '' : `in ${formatAge(Date.parse(endsAt) - now.getTime())}`,
      problems[0] ? explained(problems[0]).split('\n')[0]! : '',
    ]),
  );
}

async function runReset(name: string, options: Confirmed): Promise<void> {
  const of = readClass(options);
  const [student] = chosenStudents(of, name);
  if (!options.yes) await confirm(`make the plane of "${name}" anew`, 'All of its data is lost.');
  const folder = path.join(of.dir, name);
  const outcomes = await teach(options, [student!], (lesson) =>
    resetPlane(student!, lesson, { folder, cacheFolder: cacheRoot() }),
  );
  const [result] = demandAll(outcomes, 'is not there again');
  print(options, { student: name, plane: result!.planeId, kubeconfig: result!.files?.kubeconfig }, () =>
    reporterOf(options).line(
      `The plane of "${name}" is new, and so is its kubeconfig: k8sk8s class handout -f ${options.file}`,
    ),
  );
}

async function runSleep(name: string | undefined, options: ClassOptions): Promise<void> {
  const of = readClass(options);
  const students = chosenStudents(of, name);
  const outcomes = await teach(options, students, (lesson) =>
    forEach(students, lesson, ['falling asleep', 'asleep'], (cluster, _, work) => sleepPlane(cluster, work)),
  );
  reporterOf(options).line(`${demandAll(outcomes, 'do not sleep').length} planes sleep.`);
}

async function runWake(name: string | undefined, options: ClassOptions): Promise<void> {
  const of = readClass(options);
  const students = chosenStudents(of, name);
  const outcomes = await teach(options, students, (lesson) =>
    forEach(students, lesson, ['waking', 'awake'], (cluster, _, work) => wakePlane(cluster, work)),
  );
  reporterOf(options).line(`${demandAll(outcomes, 'are not awake').length} planes are awake.`);
}

async function runHandout(options: ClassOptions & { output: string }): Promise<void> {
  const of = readClass(options);
  const outcomes = await teach(options, of.students, (lesson) =>
    forEach(of.students, lesson, ['writing', 'written'], (cluster, student) =>
      writeHandout(cluster, of.name, student, path.join(of.dir, student.name)),
    ),
  );
  const files = demandAll(outcomes, 'have no files');
  print(options, { class: of.name, files }, () =>
    reporterOf(options).line(
      `A kubeconfig and a page to print for each of ${files.length} students are in ${of.dir}/STUDENT.`,
    ),
  );
}

async function runEnd(name: string | undefined, options: Confirmed): Promise<void> {
  const of = readClass(options);
  const students = name === undefined ? [...of.students, ...of.former] : chosenStudents(of, name, of.former);
  if (!options.yes)
    await confirm(`take away ${students.length} planes of class "${of.name}"`, 'All of their data is lost.');
  const outcomes = await teach(options, students, (lesson) => endClass(lesson, of.name, students));
  removeFolders(
    of.dir,
    outcomes.flatMap((outcome) => ('result' in outcome ? [outcome.student.name] : [])),
  );
  const ended = demandAll(outcomes, 'are not gone');
  const deleted = ended.reduce((sum, each) => sum + each.deleted, 0);
  const stay = ended.filter(({ namespaceGone }) => !namespaceGone).map(({ namespace }) => namespace);
  print(options, { class: of.name, students: ended, left: 0 }, () => {
    const reporter = reporterOf(options);
    reporter.line(`${ended.length} planes, ${deleted} objects deleted, 0 left.`);
    if (stay.length > 0)
      reporter.line(`Namespaces that stay, as they were not made here or you may not delete them: ${stay.join(', ')}`);
  });
}
