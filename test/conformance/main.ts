import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import path from 'node:path';
import { Command, Option } from 'commander';
import { UserError } from '../../src/base/errors.ts';
import { reportError } from '../../src/commands/options/report.ts';
import { minorOf, newest, resolveVersion } from '../../src/config/versions.ts';
import { withLock } from '../../src/sandbox/lock.ts';
import { loadState } from '../../src/sandbox/state.ts';
import { sandboxUp } from '../../src/sandbox/up.ts';
import { formatDuration } from '../../src/ui/reporter.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { buildSuite, type ImageSource, imageSources } from './build.ts';
import { hostedCluster, provideImages, referenceCluster } from './cluster.ts';
import { count, markdown } from './report.ts';
import { loadResults, type Results, type Side } from './results.ts';
import { runSpecs } from './run.ts';
import type { Spec } from './specs.ts';

// Kubernetes' own conformance suite against a hosted cluster on this box, or against the sandbox's infra cluster.

interface Options {
  focus?: RegExp;
  skip?: RegExp;
  parallel: number;
  images: ImageSource;
  kubernetesVersion: string;
  rerunFailed?: boolean;
  resume?: boolean;
  report: string;
  reference?: boolean;
  name?: string;
}

async function conformance(deployOptions: string[], options: Options, typed: string[]): Promise<void> {
  const reporter = terminalReporter();
  const version = options.kubernetesVersion;
  const side: Side = options.reference ? 'reference' : 'hosted';
  const name = options.name ?? `conformance-${minorOf(version).replace('.', '-')}`;
  const folder = path.resolve(options.report);

  refuseOtherVersion(name, version);
  if (options.reference && deployOptions.length > 0) throw nothingToDeploy(deployOptions);
  await sandboxUp({ name, workers: 2, infraNodes: options.reference ? 2 : 1, kubernetesVersion: version }, reporter);
  const { programs, specs, images, missing } = await buildSuite(version, options.images, reporter);
  const kubeconfig = options.reference
    ? referenceCluster(name)
    : await hostedCluster(
        name,
        [...deployOptions, '--kubernetes-version', version],
        path.join(folder, 'plane'),
        reporter,
      );
  await provideImages(name, options.reference ? 'infra' : 'worker', images, programs.crane);

  const { chosen, results, interrupted } = await withLock(
    `${name}.conformance`,
    0,
    () =>
      runSpecs(
        specs,
        { ...options, side, version, options: deployOptions, folder, typed },
        { programs, kubeconfig },
        reporter,
      ),
    refuseSecondRun(name),
  );
  const [hosted, reference] = (['hosted', 'reference'] as const).map((each) => loadResults(folder, each, version));
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    path.join(folder, 'conformance.md'),
    markdown(specs, hosted!, reference!, { box: describeBox(), missingImages: missing }),
  );
  conclude(chosen, results, folder, interrupted);
}

function conclude(chosen: Spec[], results: Results, folder: string, interrupted: boolean): void {
  const counts = count(chosen, results);
  const left = counts.skipped + counts['not run'];
  console.log(`${counts.passed} passed, ${counts.failed} failed${left > 0 ? `, ${left} not run` : ''}`);
  console.log(`${path.join(folder, 'conformance.md')} has the tables, the causes and what was not run`);
  if (interrupted) console.log('It was interrupted; the same command with --resume goes on.');
  process.exitCode = counts.failed > 0 || interrupted ? 1 : 0;
}

/** Two runs would delete each other's namespaces. */
function refuseSecondRun(name: string): (holder: { pid: number }) => never {
  return ({ pid }) => {
    throw new UserError({
      what: `the suite is already running on the sandbox "${name}"`,
      why: `process ${pid} runs it; after an interrupt it still waits until the running specs have cleaned up`,
      fix: 'wait until that process has ended, or use another sandbox with --name',
      anchor: 'conformance-suite',
      kind: 'refused',
    });
  };
}

/** A sandbox keeps its Kubernetes version, and kubelets must not be newer than their API server. */
function refuseOtherVersion(name: string, version: string): void {
  const there = loadState(name)?.kubernetesVersion;
  if (there === undefined || there === version) return;
  throw new UserError({
    what: `the sandbox "${name}" runs Kubernetes ${there}, not ${version}`,
    fix: 'leave --name out, or give another name',
    anchor: 'bad-values',
    kind: 'usage',
  });
}

function nothingToDeploy(deployOptions: string[]): UserError {
  return new UserError({
    what: `${deployOptions.join(' ')} cannot be used with --reference`,
    why: 'the reference is the infra cluster of the sandbox, where nothing is deployed',
    fix: 'leave one of the two out',
    anchor: 'bad-values',
    kind: 'usage',
  });
}

function describeBox(): string {
  const cgroup = existsSync('/sys/fs/cgroup/cgroup.controllers') ? 'v2' : 'v1';
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} processors, ${memory} GiB, Linux ${release()}, cgroup ${cgroup}`;
}

function expression(option: string): (text: string) => RegExp {
  return (text) => {
    try {
      return new RegExp(text);
    } catch (error) {
      throw badValue(option, text, (error as Error).message);
    }
  };
}

function processes(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 50) return value;
  throw badValue('--parallel', text, 'give a number from 1 to 50');
}

function knownVersion(text: string): string {
  const version = resolveVersion(text);
  if (version) return version;
  throw badValue('--kubernetes-version', text, `give a version such as ${newest.patch} or ${newest.minor}`);
}

function badValue(option: string, text: string, why: string): UserError {
  return new UserError({
    what: `${option} "${text}" cannot be used`,
    why,
    fix: 'correct it',
    anchor: 'bad-values',
    kind: 'usage',
  });
}

const program = new Command('npm run conformance --')
  .description("Kubernetes' own conformance suite against a hosted cluster with two workers on this box")
  .argument('[DEPLOY-OPTIONS...]', 'after a second --: options of k8sk8s deploy for the plane, such as --profile lite')
  .option('--focus <REGEX>', 'run only specs whose names match', expression('--focus'))
  .option('--skip <REGEX>', 'leave out specs whose names match', expression('--skip'))
  .option('--parallel <N>', 'specs at the same time; those marked [Serial] follow one by one', processes, 8)
  .option(
    '--kubernetes-version <VERSION>',
    'Kubernetes version of the plane, the workers and the suite',
    knownVersion,
    newest.patch,
  )
  .addOption(
    new Option('--images <FROM>', "the suite's images: official ones, built here, or what is available")
      .choices(imageSources)
      .default('auto'),
  )
  .option(
    '--rerun-failed',
    'run only specs that failed in the last run; with --reference those that failed on the hosted cluster',
  )
  .option('--resume', 'do not run specs again that have passed')
  .option('--report <DIR>', 'folder for results, JUnit and conformance.md', 'conformance-report')
  .option('--reference', "run against the sandbox's own infra cluster, a bare cluster of the same programs")
  .option('--name <SANDBOX>', 'name of the sandbox; by default conformance-1-37 and the like')
  .exitOverride()
  .configureOutput({ outputError: () => undefined })
  .action((deployOptions: string[], options: Options) => conformance(deployOptions, options, process.argv.slice(2)));

const started = performance.now();
try {
  await program.parseAsync();
  if (process.exitCode !== undefined) console.log(`It took ${formatDuration(performance.now() - started)}.`);
} catch (error) {
  process.exitCode = reportError(error, process.argv.slice(2));
}
