import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { machineLine, machineState } from '../../bench/machine.ts';
import { sandboxUp } from '../../sandbox/up.ts';
import { reportError } from '../../src/commands/report.ts';
import { UserError } from '../../src/errors.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { Place } from './place.ts';
import { seededRandom } from './random.ts';
import { type FaultReport, render } from './report.ts';
import { type PartName, partNames, runFaults } from './run.ts';

interface Options {
  seed: string;
  minutes: string;
  points: string;
  servers: string;
  rounds: string;
  only?: PartName[];
  json?: string;
  sandbox: string;
  namespace: string;
}

const reporter = terminalReporter();

async function run(options: Options): Promise<void> {
  const seed = whole(options.seed, '--seed', 0);
  const minutes = whole(options.minutes, '--minutes', 1);
  const extent = {
    parts: options.only ?? partNames,
    points: whole(options.points, '--points', 1),
    servers: whole(options.servers, '--servers', 1),
    rounds: whole(options.rounds, '--rounds', 1),
  };
  const unknown = extent.parts.filter((name) => !partNames.includes(name));
  if (unknown.length > 0)
    throw new UserError({
      what: `--only knows no "${unknown.join(' ')}"`,
      fix: `choose from ${partNames.join(', ')}`,
      anchor: 'bad-values',
      exitCode: 2,
    });
  const state = await sandboxUp({ name: options.sandbox, workers: 0, infraNodes: 3 }, reporter);
  const started = new Date();
  const deadline = started.getTime() + minutes * 60_000;
  const place = await Place.open(options.sandbox, options.namespace);
  try {
    const { parts, details } = await runFaults(place, options.sandbox, extent, {
      random: seededRandom(seed),
      isOver: () => Date.now() > deadline,
      progress: (text) => reporter.line(text),
    });
    const report: FaultReport = {
      seed,
      started: started.toISOString(),
      seconds: (Date.now() - started.getTime()) / 1000,
      machine: machineLine(machineState(state.kubernetesVersion)),
      parts,
      details,
    };
    process.stdout.write(`${render(report)}\n`);
    if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
    if (parts.some(({ findings }) => findings.length > 0)) process.exitCode = 1;
  } finally {
    await place.close();
  }
}

function whole(text: string, option: string, least: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least) return value;
  throw new UserError({
    what: `${option} "${text}" has to be a number of ${least} or more`,
    fix: 'correct it',
    anchor: 'bad-values',
    exitCode: 2,
  });
}

const program = new Command('faults')
  .description('kills, bad servers, writes under faults and a search for secrets, on a sandbox of this box')
  .option('--seed <N>', 'order and sample by chance, the same for the same number', String(Date.now() % 100_000))
  .option('--minutes <N>', 'begin nothing new after this time', '60')
  .option('--points <N>', 'calls after which deploy and destroy are killed, each; evenly spread over all', '1000')
  .option('--servers <N>', 'bad servers to try', '1000')
  .option('--rounds <N>', 'kills of each component while clients write', '20')
  .option('--only <PART...>', `parts to run: ${partNames.join(', ')}`)
  .option('--json <FILE>', 'write everything measured')
  .option('--sandbox <NAME>', 'the sandbox to run on; made when missing, and left up', 'k8sk8s')
  .option('--namespace <NAME>', 'the namespace to use there; what k8sk8s has in it goes', 'faults')
  .exitOverride()
  .configureOutput({ outputError: () => undefined })
  .action(run);

await program.parseAsync().catch((error: unknown) => {
  process.exitCode = reportError(error, process.argv.slice(2));
});
