import path from 'node:path';
import type { Command } from 'commander';
import { dump } from 'js-yaml';
import { cacheRoot } from '../base/cache-root.ts';
import { UserError } from '../base/errors.ts';
import type { KubeObject } from '../kube/objects.ts';
import { followsObject } from '../live/followed.ts';
import { roomToWake } from '../operations/class/capacity.ts';
import { type ByObject, createClass, type MadePlane } from '../operations/class/create.ts';
import { endClass } from '../operations/class/end.ts';
import { writeHandout } from '../operations/class/handout.ts';
import { classObjects } from '../operations/class/namespaces.ts';
import { clusterOf, demandAll, forEach, type Lesson, type Outcome, type Student } from '../operations/class/queue.ts';
import { resetPlane } from '../operations/class/reset.ts';
import { classStatus, type StudentStatus } from '../operations/class/status.ts';
import type { WantedLifetime } from '../operations/deploy/lifetime.ts';
import type { SpecChoice } from '../operations/deploy/spec-choice.ts';
import { logRightsObjects } from '../operations/log-store/switch.ts';
import { sleepPlane, wakePlane } from '../operations/sleep.ts';
import { changeByObject, sleepChange, wakeByObject } from '../operator/by-object.ts';
import {
  askByObject,
  lifeOfClass,
  madeByObject,
  type ObjectBefore,
  objectBefore,
  objectsForOperator,
  resetByObject,
} from '../operator/class-by-object.ts';
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
  forgetStudents,
  keepSettings,
  readClass,
  teach,
} from './options/class-options.ts';
import { confirm } from './options/confirm.ts';
import { outputOption, reporterOf } from './options/connection.ts';
import { parseLifetime } from './options/lifetime.ts';
import { print } from './options/print.ts';
import { addSpecOptions, type KubeconfigFile, specFromOptions } from './options/spec-options.ts';

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
    .option(
      '--with-operator',
      'let the operator make the planes: one HostedControlPlane for each student; later runs keep this',
    )
    .option('--ttl <TIME>', 'how long the planes exist, from now; none: they do not end')
    .option('--expires-at <TIME>', 'the same as a time: 2026-12-31T18:00:00+01:00')
    .option('--force', 'begin also where the nodes have no room for the pods of all planes')
    .addOption(outputOption())
    .addHelpText('after', examples)
    .action(runCreate);
  add('rights', 'the objects that the administrator of the infra cluster makes for a class')
    .requiredOption('--export', 'print them: namespaces, quotas, Roles and RoleBindings')
    .option('--teacher <USER>', 'user of the infra cluster who has these rights in each of the namespaces')
    .option('-h, --host <PATTERN>', 'host name of each plane, which belongs to its namespace then')
    .option('--with-operator', "what class create --with-operator needs, too: the operator's account in each namespace")
    .option('--logs', 'what class create --logs needs, too: the account that reads the logs of a plane')
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
  const given: ClassOptions = { ...options, host };
  const of = readClass(given);
  const { operator } = of;
  if (operator && options.authorizationWebhook) throw noWebhookFile();
  if (Number(specFromOptions(command).workerPods ?? 0) > 0) throw noWorkerPods();
  await keepSettings(
    of.dir,
    { ...(host !== undefined && { host }), ...(operator && { operator }), namespace: of.pattern },
    of.students,
  );
  const reporter = reporterOf(options);
  for (const { name, from, to } of of.moved)
    reporter.warn(
      `"${name}" is in namespace ${to} now, and was in ${from}: a plane that is left there is deleted by k8sk8s destroy -n ${from}`,
    );
  const outcomes = await teach(of.name, given, of.students, (lesson) =>
    createClass(lesson, {
      name: of.name,
      students: of.students,
      choose: (student) => specOf(command, student),
      folder: (student) => path.join(of.dir, student.name),
      isKnown: of.isKnown,
      byObject: byObjectOf(command, operator, lifetime),
      further: (student) =>
        furtherObjects(student, student.user === undefined ? [] : [student.user], {
          operator,
          logs: specFromOptions(command).logs,
        }),
      lifetime,
      cacheFolder: cacheRoot(),
      webhookKubeconfig: options.authorizationWebhook?.text,
      existing: options.namespaces ?? false,
      force: options.force ?? false,
      reporter,
    }),
  );
  for (const { name, namespace } of of.former)
    reporter.warn(
      `"${name}" is not on the roster any more (namespace ${namespace}): k8sk8s class end -f ${options.file} ${name} takes the plane away`,
    );
  const results = demandAll(outcomes, 'are not as they were to be');
  const data = of.students.map(({ name, namespace }, index) => ({
    student: name,
    namespace,
    ...results[index]!,
  }));
  print(options, { class: of.name, students: data }, () =>
    reporter.line(
      `${planes(data.length, 'is', 'are')} available. For the students: k8sk8s class handout -f ${options.file}`,
    ),
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

/** The given options over what the plane has, with the host of the student; a new plane is of the profile lite. */
function specOf(command: Command, { namespace, host }: Student): SpecChoice {
  const choose = chooseSpec(command, undefined).completeIn(namespace);
  return (recorded) => {
    const kept = recorded?.phase === 'available' ? recorded.spec : { host: recorded?.spec.host };
    if (host === '' && kept.host === undefined && command.getOptionValue('expose') !== 'cluster') throw noHost();
    const spec = { ...usual, ...kept, ...(host !== '' && { host }) };
    return choose({ ...recorded, phase: 'available', spec } as PlaneRecord);
  };
}

/** What a student's plane is beside the defaults of deploy. */
const usual = { profile: 'lite' } as const;

function byObjectOf(command: Command, all: boolean, lifetime: WantedLifetime): ByObject {
  const given = specFromOptions(command);
  return {
    all,
    ask: (cluster, { host }) =>
      askByObject(cluster, { ...given, ...(host !== '' && { host }), ...lifeOfClass(lifetime) }, usual),
    wait: madeByObject,
  };
}

function noWorkerPods(): UserError {
  return new UserError({
    what: '--worker-pods cannot be given for a class',
    why: 'a worker pod is privileged: its student would be root on an infra node, and so in the planes of all others there',
    fix: 'let machines join a plane (docs/workers.md); or make planes with worker pods one by one, on infra nodes that no other student has: k8sk8s deploy --worker-pods',
    anchor: 'class',
    kind: 'usage',
  });
}

function noWebhookFile(): UserError {
  return new UserError({
    what: '--authorization-webhook cannot be given for planes of the operator',
    why: 'it names a file with a key, which an object of the infra cluster must not have',
    fix: 'leave it out, or make the class without --with-operator',
    anchor: 'bad-values',
    kind: 'usage',
  });
}

function noHost(): UserError {
  return new UserError({
    what: 'no host name was given for the plane',
    why: 'kubectl and workers reach a plane by it, so it goes into certificates and kubeconfigs',
    fix: "say how host names are made: -h '{student}.k.example.com'; or give the roster a column host",
    anchor: 'bad-values',
    kind: 'usage',
  });
}

/** What stands in a student's namespace beside what every class has. */
function furtherObjects(
  student: Student,
  users: string[],
  { operator, logs }: { operator: boolean; logs?: boolean },
): KubeObject[] {
  return [
    ...(operator ? objectsForOperator(student, users) : []),
    ...(logs ? logRightsObjects(student.namespace) : []),
  ];
}

function runRights(options: ClassOptions & { teacher?: string; logs?: boolean }): void {
  const of = readClass(options);
  const objects = of.students.flatMap((student) => {
    const users = [options.teacher, student.user].filter((user) => user !== undefined);
    return classObjects(of.name, student, users, furtherObjects(student, users, { ...options, operator: of.operator }));
  });
  process.stdout.write(objects.map((object) => `---\n${dump(object, { noRefs: true, lineWidth: -1 })}`).join(''));
}

async function runStatus(options: ClassOptions & { output: string }): Promise<void> {
  const of = readClass(options);
  const statuses = await teach(of.name, { ...options, quiet: true }, of.students, (lesson) =>
    classStatus(lesson, of.students),
  );
  print(options, { class: of.name, students: statuses }, () => renderStatus(statuses, new Date()));
  if (statuses.some(({ healthy }) => !healthy)) process.exitCode = 1;
}

/** `1 plane is`, `2 planes are`. */
const planes = (count: number, one = '', more = '') =>
  `${count} ${count === 1 ? `plane ${one}` : `planes ${more}`}`.trim();

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
  const outcomes = await teach(of.name, options, [student!], async (lesson) =>
    (await followsObject(clusterOf(lesson, student!)))
      ? resetObject(student!, lesson, folder)
      : resetPlane(student!, lesson, { folder, cacheFolder: cacheRoot() }),
  );
  const [result] = demandAll(outcomes, 'is not there again');
  print(options, { student: name, server: result!.server, kubeconfig: result!.kubeconfig }, () =>
    reporterOf(options).line(
      `The plane of "${name}" is new, and so is its kubeconfig: k8sk8s class handout -f ${options.file}`,
    ),
  );
}

function resetObject(student: Student, lesson: Lesson, folder: string): Promise<Outcome<MadePlane>[]> {
  let before: ObjectBefore | undefined;
  return forEach([student], lesson, ['resetting', 'available'], async (cluster, _, work) => {
    before ??= await objectBefore(cluster);
    return resetByObject(cluster, before, { dir: folder, force: true }, work);
  });
}

async function runSleep(name: string | undefined, options: ClassOptions): Promise<void> {
  const of = readClass(options);
  const students = chosenStudents(of, name);
  const outcomes = await teach(of.name, options, students, (lesson) =>
    forEach(students, lesson, ['falling asleep', 'asleep'], async (cluster, _, work) =>
      (await followsObject(cluster)) ? changeByObject(cluster, sleepChange, work) : sleepPlane(cluster, work),
    ),
  );
  reporterOf(options).line(`${planes(demandAll(outcomes, 'do not sleep').length, 'sleeps', 'sleep')}.`);
}

async function runWake(name: string | undefined, options: ClassOptions): Promise<void> {
  const of = readClass(options);
  const students = chosenStudents(of, name);
  const reporter = reporterOf(options);
  const outcomes = await teach(of.name, options, students, async (lesson) => {
    const against = await roomToWake(lesson, students);
    if (against !== undefined) reporter.warn(against);
    return forEach(students, lesson, ['waking', 'awake'], async (cluster, _, work) =>
      (await followsObject(cluster)) ? wakeByObject(cluster, work) : wakePlane(cluster, work),
    );
  });
  reporter.line(`${planes(demandAll(outcomes, 'are not awake').length, 'is', 'are')} awake.`);
}

async function runHandout(options: ClassOptions & { output: string }): Promise<void> {
  const of = readClass(options);
  const outcomes = await teach(of.name, options, of.students, (lesson) =>
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
  const former = students.filter((student) => of.former.includes(student)).map(({ name }) => name);
  const ofFormer = former.length > 0 ? ` Not on the roster any more: ${former.join(', ')}.` : '';
  if (!options.yes)
    await confirm(
      `take away ${planes(students.length)} of class "${of.name}"`,
      `All of their data is lost.${ofFormer}`,
    );
  const outcomes = await teach(of.name, options, students, (lesson) => endClass(lesson, of.name, students));
  await forgetStudents(
    of.dir,
    outcomes.flatMap((outcome) => ('result' in outcome ? [outcome.student.name] : [])),
  );
  const ended = demandAll(outcomes, 'are not gone');
  const deleted = ended.reduce((sum, each) => sum + each.deleted, 0);
  const stay = ended.filter(({ namespaceGone }) => !namespaceGone).map(({ namespace }) => namespace);
  print(options, { class: of.name, students: ended, left: 0 }, () => {
    const reporter = reporterOf(options);
    reporter.line(`${planes(ended.length)}, ${deleted} objects deleted, 0 left.`);
    if (stay.length > 0)
      reporter.line(`Namespaces that stay, as they were not made here or you may not delete them: ${stay.join(', ')}`);
  });
}
