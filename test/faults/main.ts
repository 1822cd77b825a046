import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { UserError } from '../../src/base/errors.ts';
import { reportError } from '../../src/commands/options/report.ts';
import { resolveVersion } from '../../src/config/versions.ts';
import { loadState } from '../../src/sandbox/state.ts';
import { sandboxUp } from '../../src/sandbox/up.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { machineLine, machineState } from '../bench/machine.ts';
import { makeOlderRelease, olderRelease } from '../images.ts';
import { measureBare } from './bare.ts';
import { versionBefore } from './command-kills.ts';
import { type OperationName, operationNames } from './matrix.ts';
import { Place } from './place.ts';
import { seededRandom } from './random.ts';
import { type FaultReport, render } from './report.ts';
import { type KilledName, killedNames, type PartName, partNames, runFaults } from './run.ts';
import { type ChangeName, changeNames, olderVersion, type Victim, victimNames } from './worker-changes.ts';
import { killWhileWorkersChange } from './worker-kills.ts';

interface Options {
  seed: string;
  minutes: string;
  command?: KilledName[];
  points?: string;
  skip: string;
  operation?: OperationName[];
  triples: string;
  relabelled?: boolean;
  servers: string;
  rounds: string;
  nodeDeaths: string;
  fullVolumes?: boolean;
  only?: PartName[];
  bare?: boolean;
  workers?: boolean;
  kills: string;
  victim?: Victim[];
  change?: ChangeName[];
  json?: string;
  sandbox: string;
  namespace: string;
}

const reporter = terminalReporter();

async function run(options: Options): Promise<void> {
  const seed = whole(options.seed, '--seed', 0);
  const minutes = whole(options.minutes, '--minutes', 1);
  const extent = {
    parts: oneOf(options.only, '--only', partNames),
    kills: {
      commands: oneOf(options.command, '--command', killedNames),
      points: options.points === undefined ? undefined : whole(options.points, '--points', 1),
      skip: whole(options.skip, '--skip', 0),
      random: () => seededRandom(seed),
    },
    matrix: {
      operations: oneOf(options.operation, '--operation', operationNames),
      triples: whole(options.triples, '--triples', 1),
      from: options.relabelled ? olderRelease : versionBefore,
      random: () => seededRandom(seed),
    },
    servers: whole(options.servers, '--servers', 1),
    rounds: whole(options.rounds, '--rounds', 0),
    nodeDeaths: whole(options.nodeDeaths, '--node-deaths', 0),
    fullVolumes: options.fullVolumes ?? false,
  };
  if (options.workers) return workers(options, seed, minutes);
  if (options.bare) return bare(extent.rounds, seed, minutes);
  const killsUpgrade = extent.parts.includes('kills') && extent.kills.commands.includes('upgrade');
  const matrixUpgrades = extent.parts.includes('matrix') && extent.matrix.operations.includes('upgrade');
  const builds = killsUpgrade || (matrixUpgrades && !options.relabelled);
  const state = await sandboxUp(
    { name: options.sandbox, workers: 0, infraNodes: 3, alsoVersions: builds ? [versionBefore] : [] },
    reporter,
  );
  if (matrixUpgrades && options.relabelled) await makeOlderRelease(options.sandbox);
  const started = new Date();
  const deadline = started.getTime() + minutes * 60_000;
  const stop = stopping();
  const place = await Place.open(options.sandbox, options.namespace);
  const found: Pick<FaultReport, 'parts' | 'details'> = { parts: [], details: {} };
  try {
    await runFaults(
      place,
      options.sandbox,
      extent,
      {
        random: seededRandom(seed),
        isOver: () => stop.aborted || Date.now() > deadline,
        progress: (text) => reporter.line(text),
      },
      found,
    );
  } finally {
    // When a part cannot go on, the findings until then are printed, too.
    const report: FaultReport = {
      seed,
      started: started.toISOString(),
      seconds: (Date.now() - started.getTime()) / 1000,
      machine: machineLine(machineState(state.kubernetesVersion)),
      ...found,
    };
    process.stdout.write(`${render(report)}\n`);
    if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
    if (report.parts.some(({ findings }) => findings.length > 0)) process.exitCode = 1;
    await place.close();
  }
}

/** The same faults on a bare cluster of this box, for comparison. */
async function bare(rounds: number, seed: number, minutes: number): Promise<void> {
  const deadline = Date.now() + minutes * 60_000;
  const stop = stopping();
  const rows = await measureBare(rounds, {
    random: seededRandom(seed),
    isOver: () => stop.aborted || Date.now() > deadline,
    progress: (text) => reporter.line(text),
  });
  for (const [name, { times, longestGap }] of Object.entries(rows))
    process.stdout.write(`${name}, ${times} times: at most ${longestGap.toFixed(1)} s without an acknowledged write\n`);
}

/** Kills while worker pods change, on a sandbox that is made, or repaired: a run that was killed may have left a kubelet dead. */
async function workers(options: Options, seed: number, minutes: number): Promise<void> {
  const { sandbox, namespace } = options;
  const kills = whole(options.kills, '--kills', 1);
  const victims = oneOf(options.victim, '--victim', victimNames);
  const changes = oneOf(options.change, '--change', changeNames);
  const infraNodes = loadState(sandbox)?.machines.filter(({ role }) => role === 'infra').length ?? 3;
  const alsoVersions = [resolveVersion(olderVersion)!];
  const state = await sandboxUp({ name: sandbox, workers: 0, infraNodes, alsoVersions }, reporter);
  const started = new Date();
  const deadline = started.getTime() + minutes * 60_000;
  const stop = stopping();
  reporter.line(`seed ${seed}`);
  const part = await killWhileWorkersChange(
    { sandbox, namespace, kills, victims, changes },
    {
      random: seededRandom(seed),
      isOver: () => stop.aborted || Date.now() > deadline,
      progress: (text) => reporter.line(text),
    },
  );
  const report: FaultReport = {
    seed,
    started: started.toISOString(),
    seconds: part.seconds,
    machine: machineLine(machineState(state.kubernetesVersion)),
    parts: [part],
    details: {},
  };
  process.stdout.write(`${render(report)}\n`);
  if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  if (part.findings.length > 0) process.exitCode = 1;
}

/** The first SIGINT or SIGTERM ends the run after the current step and prints the report. The second one ends it at once. */
function stopping(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(130);
      reporter.line('ending after the current step');
      controller.abort();
    });
  return controller.signal;
}

function oneOf<T extends string>(chosen: T[] | undefined, option: string, known: readonly T[]): readonly T[] {
  const unknown = chosen?.filter((name) => !known.includes(name)) ?? [];
  if (unknown.length === 0) return chosen ?? known;
  throw new UserError({
    what: `${option} knows no "${unknown.join(' ')}"`,
    fix: `choose from ${known.join(', ')}`,
    anchor: 'bad-values',
    kind: 'usage',
  });
}

function whole(text: string, option: string, least: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least) return value;
  throw new UserError({
    what: `${option} "${text}" has to be a number of ${least} or more`,
    fix: 'correct it',
    anchor: 'bad-values',
    kind: 'usage',
  });
}

const program = new Command('faults')
  .description('kills, bad servers, writes under faults and a search for secrets, on a sandbox of this box')
  .option(
    '--seed <N>',
    'seed of the random order and sample: the same number gives the same run',
    String(Date.now() % 100_000),
  )
  .option('--minutes <N>', 'start no new step after this time', '60')
  .option('--command <NAME...>', `commands that are killed: ${killedNames.join(', ')}`)
  .option(
    '--points <N>',
    'calls after which each is killed, evenly spread over all; default: all of deploy and destroy, 20 of the others',
  )
  .option('--skip <N>', 'leave out what an earlier run with the same --seed and --points tried of a sample', '0')
  .option('--operation <NAME...>', `operations of the matrix: ${operationNames.join(', ')}`)
  .option(
    '--triples <N>',
    'how many pairs of these to try: the first is killed, the second runs, the first runs again',
    '8',
  )
  .option(
    '--relabelled',
    'in the matrix, upgrade from the newest release under an older version number, which needs no build',
  )
  .option('--servers <N>', 'how many bad servers to try', '1000')
  .option('--rounds <N>', 'how often each component is killed while clients write', '20')
  .option('--node-deaths <N>', 'how often an infra node dies meanwhile, with all pods on it', '0')
  .option('--full-volumes', 'fill volumes of etcd meanwhile')
  .option('--only <PART...>', `parts to run: ${partNames.join(', ')}`)
  .option(
    '--bare',
    'kill and cut off members of a bare cluster of processes instead, with the same clients, without a sandbox',
  )
  .option('--workers', 'kill while the workers of a plane, which are pods, change, and nothing else')
  .option('--kills <N>', 'with --workers, how many', '30')
  .option('--victim <NAME...>', `with --workers, what is killed: ${victimNames.join(', ')}`)
  .option('--change <NAME...>', `with --workers, what changes meanwhile: ${changeNames.join(', ')}`)
  .option('--json <FILE>', 'write all results to a file')
  .option('--sandbox <NAME>', 'the sandbox to run on; made when missing, and left up', 'k8sk8s')
  .option('--namespace <NAME>', 'the namespace to use there; all objects of k8sk8s in it are deleted', 'faults')
  .exitOverride()
  .configureOutput({ outputError: () => undefined })
  .action(run);

await program.parseAsync().catch((error: unknown) => {
  process.exitCode = reportError(error, process.argv.slice(2));
});
