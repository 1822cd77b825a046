import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { ensureBinaries, ensureImages } from '../sandbox/artifacts/ensure.ts';
import { loadState } from '../sandbox/state.ts';
import { sandboxUp } from '../sandbox/up.ts';
import type { ImageName } from '../sandbox/versions.ts';
import { reportError } from '../src/commands/report.ts';
import { UserError } from '../src/errors.ts';
import { formatDuration, type Reporter } from '../src/ui/reporter.ts';
import { terminalReporter } from '../src/ui/terminal.ts';
import { minorOf, newest, resolveVersion } from '../src/versions.ts';
import { hostedCluster, importImages, referenceCluster } from './cluster.ts';
import { planImages } from './images.ts';
import { progressText } from './progress.ts';
import { count, markdown } from './report.ts';
import { loadResults, type Results, type Side, saveResults, toRun } from './results.ts';
import { parseSpecs, type Spec, selectSpecs } from './specs.ts';
import { type Part, runPart, type SuiteOptions } from './suite.ts';

// Kubernetes' own conformance suite against a hosted cluster on this box, or against the sandbox's infra cluster.

interface Options {
  focus?: RegExp;
  skip?: RegExp;
  parallel: number;
  kubernetesVersion: string;
  rerunFailed?: boolean;
  resume?: boolean;
  report: string;
  reference?: boolean;
  name?: string;
}

async function conformance(options: Options, typed: string[]): Promise<void> {
  const reporter = terminalReporter();
  const version = options.kubernetesVersion;
  const side: Side = options.reference ? 'reference' : 'hosted';
  const name = options.name ?? `conformance-${minorOf(version).replace('.', '-')}`;
  const folder = path.resolve(options.report);
  const cached = { kubernetesVersion: version };

  refuseOtherVersion(name, version);
  await sandboxUp({ name, workers: 2, infraNodes: options.reference ? 2 : 1, kubernetesVersion: version }, reporter);
  const programs = await ensureBinaries(['e2e.test', 'ginkgo', 'kubectl'], cached, reporter);
  const ask = (flag: string) => execFileSync(programs['e2e.test'], [flag], { encoding: 'utf8', maxBuffer: 64 << 20 });
  const specs = parseSpecs(ask('--list-conformance-tests'));
  const { references, missing } = planImages(ask('--list-images'));
  const archives = await ensureImages(Object.keys(references) as ImageName[], { ...cached, references }, reporter);
  const kubeconfig = options.reference
    ? referenceCluster(name)
    : await hostedCluster(name, version, path.join(folder, 'plane'), reporter);
  await importImages(name, options.reference ? 'infra' : 'worker', archives);

  const known = loadResults(folder, side, version);
  const failedElsewhere = loadResults(folder, 'hosted', version);
  const again = options.resume || options.rerunFailed;
  const results: Results = again ? known : { version, runs: [], specs: {} };
  const chosen = toRun(selectSpecs(specs, options.focus, options.skip), results, options, failedElsewhere);
  reporter.line(`${chosen.length} of ${specs.length} conformance specs of Kubernetes ${version} to run`);
  const run = { started: new Date().toISOString(), command: ['npm run conformance --', ...typed].join(' ') };
  results.runs.push(run);
  const interrupted = await runAll(partsOf(chosen, options.parallel), results, reporter, {
    programs,
    kubeconfig,
    folder,
    // The infra cluster carries planes, in namespaces that must not be cleared away.
    cleanStart: !options.reference,
    save: () => saveResults(folder, side, results),
  });
  Object.assign(run, { ended: new Date().toISOString() });
  saveResults(folder, side, results);
  const [hosted, reference] = (['hosted', 'reference'] as const).map((each) => loadResults(folder, each, version));
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    path.join(folder, 'conformance.md'),
    markdown(specs, hosted!, reference!, { box: describeBox(), missingImages: missing }),
  );
  conclude(chosen, results, folder, interrupted);
}

function partsOf(specs: Spec[], processes: number): Part[] {
  const parts = [
    { title: 'parallel', specs: specs.filter(({ serial }) => !serial), processes },
    { title: 'serial', specs: specs.filter(({ serial }) => serial), processes: 1 },
  ];
  return parts.filter((part) => part.specs.length > 0);
}

/** @returns whether the person or the system stopped it */
async function runAll(
  parts: Part[],
  results: Results,
  reporter: Reporter,
  options: Omit<SuiteOptions, 'onTold'> & { save: () => void },
): Promise<boolean> {
  for (const part of parts) {
    const started = performance.now();
    const title = `${part.title} part, ${part.processes === 1 ? 'one by one' : `${part.processes} at a time`}`;
    const phase = reporter.begin(`${title}: ${part.specs.length} specs`);
    const seen = { done: 0, failed: 0, said: started };
    const outcome = await runPart(part, {
      ...options,
      onTold: (told) => {
        seen.done++;
        if (told.outcome === 'failed') {
          seen.failed++;
          reporter.line(`FAILED ${told.name}`);
        }
        results.specs[told.name] = { outcome: told.outcome };
        options.save();
        const now = performance.now();
        const text = progressText(seen.done, seen.failed, part.specs.length, now - started);
        phase.update(text);
        // Off a terminal nothing shows a live line.
        if (!process.stderr.isTTY && now - seen.said > 60_000) {
          seen.said = now;
          reporter.line(text);
        }
      },
    });
    for (const [spec, result] of outcome.results) results.specs[spec] = result;
    options.save();
    const counts = count(part.specs, results);
    phase.done(`${title}: ${counts.passed} passed, ${counts.failed} failed`);
    if (outcome.interrupted) return true;
  }
  return false;
}

function conclude(chosen: Spec[], results: Results, folder: string, interrupted: boolean): void {
  const counts = count(chosen, results);
  const left = counts.skipped + counts['not run'];
  console.log(`${counts.passed} passed, ${counts.failed} failed${left > 0 ? `, ${left} not run` : ''}`);
  console.log(`${path.join(folder, 'conformance.md')} has the tables, the causes and what was not run`);
  if (interrupted) console.log('It was interrupted; the same command with --resume goes on.');
  process.exitCode = counts.failed > 0 || interrupted ? 1 : 0;
}

/** A sandbox keeps the version that it was made with, and kubelets must not be newer than their API server. */
function refuseOtherVersion(name: string, version: string): void {
  const there = loadState(name)?.kubernetesVersion;
  if (there === undefined || there === version) return;
  throw new UserError({
    what: `the sandbox "${name}" runs Kubernetes ${there}, not ${version}`,
    fix: 'leave --name out, or name another',
    anchor: 'bad-values',
    exitCode: 2,
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
  throw badValue('--parallel', text, 'it takes a number from 1 to 50');
}

function knownVersion(text: string): string {
  const version = resolveVersion(text);
  if (version) return version;
  throw badValue('--kubernetes-version', text, `it takes a version such as ${newest.patch} or ${newest.minor}`);
}

function badValue(option: string, text: string, why: string): UserError {
  return new UserError({
    what: `${option} "${text}" cannot be used`,
    why,
    fix: 'correct it',
    anchor: 'bad-values',
    exitCode: 2,
  });
}

const program = new Command('npm run conformance --')
  .description("Kubernetes' own conformance suite against a hosted cluster with two workers on this box")
  .option('--focus <REGEX>', 'only specs whose names fit', expression('--focus'))
  .option('--skip <REGEX>', 'no specs whose names fit', expression('--skip'))
  .option('--parallel <N>', 'specs at a time; those marked [Serial] follow one by one', processes, 2)
  .option('--kubernetes-version <VERSION>', 'of the plane, the workers and the suite', knownVersion, newest.patch)
  .option('--rerun-failed', 'only what failed in the last run; with --reference what failed on the hosted cluster')
  .option('--resume', 'what has passed is not run again')
  .option('--report <DIR>', 'folder for results, JUnit and conformance.md', 'conformance-report')
  .option('--reference', "against the sandbox's own infra cluster, a bare cluster of the same programs")
  .option('--name <SANDBOX>', 'name of the sandbox; by default conformance-1-37 and the like')
  .exitOverride()
  .configureOutput({ outputError: () => undefined })
  .action((options: Options) => conformance(options, process.argv.slice(2)));

const started = performance.now();
try {
  await program.parseAsync();
  if (process.exitCode !== undefined) console.log(`It took ${formatDuration(performance.now() - started)}.`);
} catch (error) {
  process.exitCode = reportError(error, process.argv.slice(2));
}
