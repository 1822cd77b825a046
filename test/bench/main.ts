import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { UserError } from '../../src/base/errors.ts';
import { reportError } from '../../src/commands/options/report.ts';
import { sandboxUp } from '../../src/sandbox/up.ts';
import { versions } from '../../src/sandbox/versions.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { measureClass, renderClass } from './class.ts';
import { measureCommands, renderCommands } from './commands.ts';
import { curves } from './curve.ts';
import { type DensityReport, measureDensity, renderDensity } from './density.ts';
import { Floor } from './floor.ts';
import { measureGrowth, renderGrowth } from './growth.ts';
import { measureIdle, renderIdle } from './idle.ts';
import { measureLogs, renderLogs } from './logs.ts';
import { calm, machineLine, machineState } from './machine.ts';
import { Bench } from './plane.ts';
import { type Pair, readReport, render, renderComparison, reportOf } from './report.ts';
import { shuffled, summarize } from './statistics.ts';
import { measureTunnel, renderTunnel } from './tunnel.ts';
import { waterfall } from './waterfall.ts';
import { measureWorkerPods, renderWorkerPods } from './worker-pods.ts';
import { measureWorkers, renderWorkers } from './workers.ts';

interface Options {
  runs: string;
  floorOnly?: boolean;
  idle?: boolean;
  logs?: boolean;
  workerPods: string;
  commands?: boolean;
  density?: boolean;
  class?: boolean;
  students: string;
  parallel: string;
  rest: string;
  growth?: boolean;
  workers?: boolean;
  tunnel?: boolean;
  webhooks: string;
  execs: string;
  kills: string;
  seed: string;
  atMost?: string;
  objects: string;
  pods: string;
  asleep: string;
  atOnce: string;
  requests: string;
  planes: string;
  profile: string[];
  seconds: string;
  json?: string;
  svg?: string;
  compare?: string;
  sandbox: string;
}

const reporter = terminalReporter();
/** Options of deploy for --density, unless others are given: those that make small planes. */
const densePlane = ['--profile', 'lite', '--egress', 'none', '--etcd-storage', 'ephemeral'];

/** Measures floors and deploys in pairs, each pair in random order. The first pair is not counted. */
async function pairs(runs: number, options: Options, deployOptions: string[]): Promise<void> {
  const atMost = options.atMost === undefined ? Number.POSITIVE_INFINITY : ratioOf(options.atMost);
  const earlier = options.compare === undefined ? undefined : readReport(options.compare);
  const state = await sandboxUp({ name: options.sandbox, workers: 0, infraNodes: 1 }, reporter);
  const machine = machineState(state.kubernetesVersion);
  const floor = await Floor.prepare(state.kubernetesVersion, reporter);
  const bench = await Bench.open(options.sandbox, 'bench');
  const measured: Pair[] = [];
  try {
    for (let run = 0; run <= runs; run++) {
      const pair = await measurePair(bench, floor, deployOptions);
      if (run === 0) continue;
      measured.push(pair);
      reporter.line(
        `pair ${run} of ${runs}: deploy ${Math.round(pair.deployMs)} ms, floor ${Math.round(pair.floorMs)} ms, ratio ${pair.ratio.toFixed(2)}`,
      );
    }
  } finally {
    await bench.close();
  }
  const report = reportOf(machine, deployOptions, measured);
  process.stdout.write(`${render(report)}\n`);
  if (earlier) process.stdout.write(`\n${renderComparison(earlier, report)}\n`);
  if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  if (options.svg) {
    const title = `deploy ${(report.summary.deployMs.median / 1000).toFixed(2)} s to AVAILABLE, ${report.summary.ratio.median.toFixed(2)} times the floor (medians of ${runs})`;
    writeFileSync(options.svg, waterfall(report.waterfall, report.summary.floorMs.median, title));
  }
  const { median } = report.summary.ratio;
  if (median <= atMost) return;
  reporter.line(
    `A deploy takes ${median.toFixed(2)} times the floor by median, more than --at-most ${atMost}: the phases above show where the time goes.`,
  );
  process.exitCode = 1;
}

async function measurePair(bench: Bench, floor: Floor, deployOptions: string[]): Promise<Pair> {
  const order = shuffled(['deploy', 'floor'] as const);
  let floorMs = 0;
  let deployed: Pick<Pair, 'deployMs' | 'doneMs' | 'destroyMs' | 'wakeMs' | 'phases'> | undefined;
  for (const what of order) {
    await calm();
    if (what === 'floor') floorMs = await floor.measure();
    else {
      const { availableMs, doneMs, phases } = await bench.deploy(deployOptions);
      const wakeMs = await bench.sleepAndWake();
      deployed = { deployMs: availableMs, doneMs, phases, wakeMs, destroyMs: await bench.destroy() };
    }
  }
  return { first: order[0]!, floorMs, ...deployed!, ratio: deployed!.deployMs / floorMs };
}

async function floors(runs: number, options: Options): Promise<void> {
  const machine = machineState(versions.kubernetes);
  const floor = await Floor.prepare(machine.kubernetes, reporter);
  const measured: number[] = [];
  for (let run = 0; run <= runs; run++) {
    await calm();
    const milliseconds = await floor.measure();
    if (run > 0) measured.push(milliseconds);
  }
  const summary = summarize(measured);
  process.stdout.write(
    `${machineLine(machine)}\nfloor: median ${Math.round(summary.median)} ms, ${Math.round(summary.minimum)} to ${Math.round(summary.maximum)} ms in ${runs} runs\n`,
  );
  if (options.json)
    writeFileSync(options.json, `${JSON.stringify({ machine, floorMs: measured, summary }, null, 2)}\n`);
}

async function idle(options: Options, deployOptions: string[]): Promise<void> {
  const { sandbox, profile: profiles } = options;
  const seconds = wholeNumber(options.seconds, '--seconds');
  const workerPods = wholeNumber(options.workerPods, '--worker-pods', 0);
  const report = await measureIdle({ sandbox, profiles, seconds, workerPods, deployOptions }, reporter);
  process.stdout.write(`${renderIdle(report)}\n`);
  if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
}

async function logs(runs: number, { sandbox, json, seconds }: Options, deployOptions: string[]): Promise<void> {
  const watched = wholeNumber(seconds, '--seconds');
  const report = await measureLogs({ sandbox, runs, seconds: watched, deployOptions }, reporter);
  process.stdout.write(`${renderLogs(report)}\n`);
  if (json) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
}

async function commands(runs: number, options: Options): Promise<void> {
  const planes = wholeNumber(options.planes, '--planes');
  const report = await measureCommands({ sandbox: options.sandbox, planes, runs }, reporter);
  process.stdout.write(`${renderCommands(report)}\n`);
  if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
}

async function growth(runs: number, { sandbox, profile: profiles, json, ...options }: Options): Promise<void> {
  const objects = wholeNumber(options.objects, '--objects');
  const pods = wholeNumber(options.pods, '--pods');
  const report = await measureGrowth({ sandbox, objects, pods, runs, profiles }, reporter);
  process.stdout.write(`${renderGrowth(report)}\n`);
  if (json) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
}

async function workers(runs: number, { sandbox, json, ...given }: Options, deployOptions: string[]): Promise<void> {
  const workerPods = wholeNumber(given.workerPods, '--worker-pods', 0);
  if (workerPods > 0) {
    const report = await measureWorkerPods({ sandbox, runs, workerPods, deployOptions }, reporter);
    process.stdout.write(`${renderWorkerPods(report)}\n`);
    if (json) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
    return;
  }
  const report = await measureWorkers({ sandbox, runs, deployOptions }, reporter);
  process.stdout.write(`${renderWorkers(report)}\n`);
  if (json) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
}

async function tunnel({ sandbox, json, ...given }: Options): Promise<void> {
  const [webhooks, execs, kills, seed] = [
    wholeNumber(given.webhooks, '--webhooks', 10),
    wholeNumber(given.execs, '--execs', 10),
    wholeNumber(given.kills, '--kills'),
    wholeNumber(given.seed, '--seed', 0),
  ];
  const report = await measureTunnel({ sandbox, webhooks, execs, kills, seed }, reporter);
  process.stdout.write(`${renderTunnel(report)}\n`);
  if (json) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  if (report.unexplained.length > 0) process.exitCode = 1;
}

async function lesson({ sandbox, json, ...given }: Options, options: string[]): Promise<void> {
  const students = wholeNumber(given.students, '--students');
  const parallel = wholeNumber(given.parallel, '--parallel');
  const rest = wholeNumber(given.rest, '--rest', 0);
  const report = await measureClass({ sandbox, students, parallel, rest, options }, reporter);
  process.stdout.write(`${renderClass(report)}\n`);
  if (json) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
}

async function density(options: Options, deployOptions: string[]): Promise<void> {
  const planes = wholeNumber(options.planes, '--planes');
  const asleep = wholeNumber(options.asleep, '--asleep', 0);
  if (asleep >= planes) throw tooMany('--asleep', options.asleep, planes);
  const report = await measureDensity(
    {
      sandbox: options.sandbox,
      planes,
      asleep,
      atOnce: Math.min(wholeNumber(options.atOnce, '--at-once', 0), planes - asleep),
      requests: wholeNumber(options.requests, '--requests'),
      deployOptions,
    },
    reporter,
  );
  process.stdout.write(`${renderDensity(report)}\n`);
  if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  if (options.svg) writeFileSync(options.svg, densityCurves(report));
}

function densityCurves({ deployMs, infra }: DensityReport): string {
  const first = infra[0]!;
  return curves(
    [
      { name: 'deploy to AVAILABLE, s', points: deployMs.map((each, index) => ({ x: index + 1, y: each / 1000 })) },
      {
        name: "infra etcd's database, MiB more",
        points: infra.map(({ planes, databaseMiB }) => ({ x: planes, y: databaseMiB - first.databaseMiB })),
      },
    ],
    'The Nth plane on one infra node',
    { x: 'planes', y: 's, MiB' },
  );
}

function ratioOf(text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new UserError({
    what: `--at-most "${text}" has to be a number over 0`,
    fix: 'correct it, for example --at-most 1.6',
    anchor: 'bad-values',
    kind: 'usage',
  });
}

function tooMany(option: string, text: string, planes: number): UserError {
  return new UserError({
    what: `${option} ${text} has to be less than the ${planes} of --planes`,
    fix: 'leave at least one plane awake',
    anchor: 'bad-values',
    kind: 'usage',
  });
}

function wholeNumber(text: string, option: string, least = 1): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least) return value;
  throw new UserError({
    what: `${option} "${text}" has to be a whole number of ${least} or more`,
    fix: 'correct it',
    anchor: 'bad-values',
    kind: 'usage',
  });
}

const program = new Command('bench')
  .description('deploy, beside bare etcd and kube-apiserver processes on the same box')
  .option('--runs <N>', 'pairs of a deploy and a floor, or of each command', '7')
  .option('--floor-only', 'only the bare processes')
  .option('--idle', 'what a plane at rest needs, instead of how long a deploy takes')
  .option('--logs', 'what --logs costs: how long a deploy takes with it and without, and what both planes need at rest')
  .option('--workers', 'how soon pods answer on two workers, instead of how long a deploy takes')
  .option(
    '--tunnel',
    'calls by the tunnel of a worker, beside a worker that is dialled, and while all that carries them is killed',
  )
  .option(
    '--webhooks <N>',
    'with --tunnel: how many calls of a webhook under kills, and a tenth of that without',
    '10000',
  )
  .option('--execs <N>', 'with --tunnel: the same of execs', '2000')
  .option('--kills <N>', 'with --tunnel: how many, 25 s apart', '12')
  .option('--seed <N>', 'with --tunnel: of what is killed and when', '1')
  .option('--growth', 'work inside a plane, beside the same work in bare processes')
  .option('--objects <N>', 'with --growth: how many ConfigMaps are made', '10000')
  .option('--pods <N>', 'with --growth: how many pods are started on a hollow node', '1000')
  .option('--worker-pods <N>', 'with --idle and --workers: how many workers are pods', '0')
  .option('--profile <NAME...>', 'with --idle and --growth: which profiles', ['default', 'lite'])
  .option(
    '--seconds <N>',
    'with --idle and --logs: seconds of the measurement; the plane rests twice as long before',
    '60',
  )
  .option('--commands', 'how quickly help, list and status answer, instead of how long a deploy takes')
  .option('--planes <N>', 'with --commands and --density: how many planes there are', '30')
  .option('--density', 'many planes at once: how long the Nth deploy takes, what they need, how quickly each answers')
  .option('--asleep <N>', 'with --density: how many of them, the first, are put to sleep', '0')
  .option('--at-once <N>', 'with --density: how many of them are deployed together, at the end', '10')
  .option('--requests <N>', 'with --density: how many requests of each kind a plane is asked', '100')
  .option(
    '--class',
    'a class: planes made, asleep, woken at the start of a lesson, and gone; options after -- are those of class create',
  )
  .option('--students <N>', 'with --class: how many', '30')
  .option('--parallel <N>', 'with --class: how many planes are worked on at once', '2')
  .option('--rest <SECONDS>', 'with --class: how long the planes rest before it is measured what they take', '130')
  .option('--at-most <RATIO>', 'fail when the median ratio of deploy to floor is higher')
  .option('--json <FILE>', 'write everything measured')
  .option('--svg <FILE>', 'write the waterfall as a picture')
  .option('--compare <FILE>', 'compare with the file of an earlier --json')
  .option('--sandbox <NAME>', 'the sandbox to measure on; made when missing, and left up', 'k8sk8s')
  .argument('[DEPLOY_OPTION...]', 'options of deploy, after --')
  .exitOverride()
  .configureOutput({ outputError: () => undefined })
  .action(async (deployOptions: string[], options: Options) => {
    if (options.idle) return idle(options, deployOptions);
    if (options.class) return lesson(options, deployOptions);
    if (options.density) return density(options, deployOptions.length > 0 ? deployOptions : densePlane);
    const runs = wholeNumber(options.runs, '--runs');
    if (options.commands) return commands(runs, options);
    if (options.logs) return logs(runs, options, deployOptions);
    if (options.growth) return growth(runs, options);
    if (options.tunnel) return tunnel(options);
    if (options.workers) return workers(runs, options, deployOptions);
    await (options.floorOnly ? floors(runs, options) : pairs(runs, options, deployOptions));
  });

await program.parseAsync().catch((error: unknown) => {
  process.exitCode = reportError(error, process.argv.slice(2));
});
