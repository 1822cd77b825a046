import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../src/base/errors.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import { openPlane } from '../../src/live/open.ts';
import { anyPlaneSelector } from '../../src/plane/names.ts';
import { sandboxEnvironment } from '../../src/sandbox/delegate.ts';
import { sandboxHost, takeHostBack } from '../../src/sandbox/host.ts';
import { loadState, requireState } from '../../src/sandbox/state.ts';
import { sandboxUp } from '../../src/sandbox/up.ts';
import type { Reporter } from '../../src/ui/reporter.ts';
import { table } from '../../src/ui/table.ts';
import { connectByFile } from '../connect-by-file.ts';
import { type Consumption, consumptionOf } from './consumption.ts';
import { Floor } from './floor.ts';
import { calm, type MachineState, machineLine, machineState } from './machine.ts';
import { type Finished, k8sk8s } from './run.ts';
import { quantile } from './statistics.ts';

export interface ClassBenchOptions {
  sandbox: string;
  students: number;
  /** How many planes are worked on at once. */
  parallel: number;
  /** Seconds that the planes rest before it is measured what they take. */
  rest: number;
  /** Of class create. */
  options: string[];
}

export interface ClassReport {
  machine: MachineState;
  students: number;
  parallel: number;
  options: string[];
  /** Bare processes before the class, before it is woken, and after that. */
  floorMs: number[];
  create: Course;
  sleepMs: number;
  wake: Course & {
    /** From the start of the command until each API server answered, sorted. */
    answersMs: number[];
  };
  end: { milliseconds: number; left: number };
  /** What the planes take at rest. */
  planes: Consumption;
  runtime: Consumption;
  /** MiB of free memory of the box, without planes, with all of them at rest, and with all asleep. */
  availableMiB: { before: number; awake: number; asleep: number };
}

/** How a command went through the students. */
interface Course {
  milliseconds: number;
  /** Milliseconds for each plane, from when its turn came, sorted. */
  eachMs: number[];
  /** How often a plane failed and was tried again. */
  triedAgain: number;
}

/** A class from its first plane to its last: made, asleep, woken at the start of a lesson, and gone; beside bare processes of the same hour. */
export async function measureClass(options: ClassBenchOptions, reporter: Reporter): Promise<ClassReport> {
  const state =
    loadState(options.sandbox) ?? (await sandboxUp({ name: options.sandbox, workers: 0, infraNodes: 1 }, reporter));
  const machine = machineState(state.kubernetesVersion);
  const floor = await Floor.prepare(state.kubernetesVersion, reporter);
  const lesson = await Lesson.open(options);
  const floorMs: number[] = [];
  const measureFloor = async () => {
    await calm();
    // A box that is too busy for the bare processes tells so by that, and the class goes on.
    await floor.measure().then(
      (milliseconds) => floorMs.push(milliseconds),
      (error: unknown) => reporter.warn(`the bare processes did not come up: ${messageOf(error)}`),
    );
  };
  try {
    await measureFloor();
    const before = availableMiB();
    const create = courseOf(await lesson.run('create', '-h', `{student}.${domain}`, ...options.options), 'created');
    reporter.line(`${options.students} planes after ${seconds(create.milliseconds)}; they rest for ${options.rest} s`);
    await sleep(options.rest * 1000);
    const { total, runtime } = await consumptionOf(await lesson.pods(), requireState(options.sandbox), 30_000);
    const awake = availableMiB();
    const hosted = await lesson.hosted();
    const { milliseconds: sleepMs } = await lesson.run('sleep');
    const asleep = availableMiB();
    reporter.line(`all sleep after ${seconds(sleepMs)}`);
    await measureFloor();
    const [woken, answersMs] = await Promise.all([lesson.run('wake'), untilAnswered(hosted)]);
    await measureFloor();
    const ended = await lesson.run('end', '--yes', '--output', 'json');
    const { left } = JSON.parse(ended.stdout) as { left: number };
    return {
      machine,
      students: options.students,
      parallel: options.parallel,
      options: options.options,
      floorMs,
      create,
      sleepMs,
      wake: { ...courseOf(woken, 'awake'), answersMs },
      end: { milliseconds: ended.milliseconds, left },
      planes: total,
      runtime,
      availableMiB: { before, awake, asleep },
    };
  } finally {
    await lesson.close();
  }
}

const domain = 'class.k8sk8s.test';

/** The class of a teacher who may make namespaces. */
class Lesson {
  readonly #sandbox: string;
  readonly #kubeconfig: string;
  readonly #names: string[];
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-class-'));
  readonly #parallel: number;
  #hosted: HostedCluster[] = [];
  #ended = false;

  private constructor(sandbox: string, kubeconfig: string, names: string[], parallel: number) {
    this.#sandbox = sandbox;
    this.#kubeconfig = kubeconfig;
    this.#names = names;
    this.#parallel = parallel;
    writeFileSync(path.join(this.#folder, 'bench.csv'), `student\n${names.join('\n')}\n`);
  }

  static async open({ sandbox, students, parallel }: ClassBenchOptions): Promise<Lesson> {
    const names = Array.from({ length: students }, (_, index) => `s${String(index + 1).padStart(2, '0')}`);
    for (const name of names) await sandboxHost(sandbox, `${name}.${domain}`);
    const { kubeconfig } = await sandboxEnvironment({ name: sandbox, admin: true });
    return new Lesson(sandbox, kubeconfig, names, parallel);
  }

  async run(command: string, ...args: string[]): Promise<Finished> {
    const work = ['-f', 'bench.csv', '--name', 'bench-class', '--parallel', `${this.#parallel}`];
    const finished = await k8sk8s(['class', command, ...work, ...args], {
      env: { KUBECONFIG: this.#kubeconfig },
      cwd: this.#folder,
    });
    this.#ended = command === 'end';
    return finished;
  }

  async pods() {
    const lists = await Promise.all(this.#clusters().map((cluster) => cluster.pods(anyPlaneSelector)));
    return lists.flatMap(({ items }) => items);
  }

  /** The API servers, which may be asked while their planes sleep. */
  async hosted(): Promise<HostedCluster[]> {
    for (const cluster of this.#clusters()) this.#hosted.push(await (await openPlane(cluster)).connect());
    return this.#hosted;
  }

  #clusters() {
    return this.#names.map((name) => connectByFile(this.#kubeconfig, `bench-class-${name}`));
  }

  async close(): Promise<void> {
    await Promise.all(this.#hosted.map((each) => each.close()));
    if (!this.#ended) await this.run('end', '--yes').catch((error: unknown) => process.stderr.write(`${error}\n`));
    for (const name of this.#names) await takeHostBack(this.#sandbox, `${name}.${domain}`);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Asks the planes twice a second, as impatient students do. @returns milliseconds to the answer of each, sorted */
async function untilAnswered(hosted: HostedCluster[]): Promise<number[]> {
  const from = performance.now();
  const deadline = from + 30 * 60_000;
  const times = await Promise.all(
    hosted.map(async (each) => {
      while (performance.now() < deadline) {
        const answer = await each.ready(2000).catch(() => undefined);
        if (answer?.ready) return performance.now() - from;
        await sleep(500);
      }
      throw new Error('a plane has not answered within half an hour');
    }),
  );
  return times.sort((a, b) => a - b);
}

/** The lines that the board writes where there is no terminal: `s01: deploying`. Pure. @param done the state in which a plane is complete */
export function courseOf({ lines, milliseconds }: Pick<Finished, 'lines' | 'milliseconds'>, done: string): Course {
  const begun = new Map<string, number>();
  const eachMs: number[] = [];
  let triedAgain = 0;
  for (const { text, at } of lines) {
    const [, student, state] = /^([a-z0-9-]+): ([a-z ]+)/.exec(text) ?? [];
    if (student === undefined || state === undefined) continue;
    if (state === done) eachMs.push(at - (begun.get(student) ?? 0));
    else if (state === 'failed') triedAgain += 1;
    else if (!begun.has(student)) begun.set(student, at);
  }
  return { milliseconds, eachMs: eachMs.sort((a, b) => a - b), triedAgain };
}

/** Milliseconds from `class wake` to the answers of 30 planes. */
const goal = { first: 10_000, last: 240_000 };

/** Memory that the kernel can give to new programs (MemAvailable, proc_meminfo(5)). */
function availableMiB(): number {
  return Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))![1]) / 1024;
}

const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(1)} s`;

/** Pure. */
export function renderClass(report: ClassReport): string {
  const { machine, students, parallel, options, floorMs, create, sleepMs, wake, end, planes, runtime } = report;
  const floor = floorMs.toSorted((a, b) => a - b)[Math.floor(floorMs.length / 2)];
  const times = (milliseconds: number) => [
    seconds(milliseconds),
    floor === undefined ? '' : (milliseconds / floor).toFixed(1),
  ];
  const { before, awake, asleep } = report.availableMiB;
  const [first, last] = [wake.answersMs[0]!, wake.answersMs.at(-1)!];
  const perPlane = (all: number) => [all, all / students].map((each) => each.toFixed(1));
  return [
    machineLine(machine),
    `${students} students, ${parallel} planes at once: class create ${options.join(' ')}`,
    `bare processes beside it: ${floorMs.map(seconds).join(', ')}`,
    '',
    table(
      ['', 'TIME', 'TIMES THE BARE PROCESSES'],
      [
        ['create, all', ...times(create.milliseconds)],
        ['create, the middle plane', ...times(quantile(create.eachMs, 0.5))],
        ['create, the slowest plane', ...times(create.eachMs.at(-1)!)],
        ['sleep, all', ...times(sleepMs)],
        ['wake, the first answer', ...times(first)],
        ['wake, the middle answer', ...times(quantile(wake.answersMs, 0.5))],
        ['wake, the last answer', ...times(last)],
        ['wake, all', ...times(wake.milliseconds)],
        ['end, all', ...times(end.milliseconds)],
      ],
    ),
    `goal of a lesson: the first answer in ${seconds(goal.first)}, the last in ${seconds(goal.last)}: ${first <= goal.first && last <= goal.last ? '' : 'not '}kept`,
    `tried again: ${create.triedAgain} while they were made, ${wake.triedAgain} while they woke; left at the end: ${end.left}`,
    '',
    table(
      ['AT REST', 'ALL', 'A PLANE'],
      [
        ['millicores', ...perPlane(planes.millicores)],
        ['anonymous MiB', ...perPlane(planes.anonymousMiB)],
        ['pause and shims, resident MiB', ...perPlane(runtime.residentMiB)],
        ['memory of the box, MiB', ...perPlane(before - awake)],
        ['the same asleep', ...perPlane(before - asleep)],
      ],
    ),
  ].join('\n');
}
