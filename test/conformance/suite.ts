import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { UserError } from '../../src/base/errors.ts';
import { readReport, suiteFailures } from './ginkgo-report.ts';
import { progressReader, type Told } from './progress.ts';
import type { Result } from './results.ts';
import { focusOf, type Spec } from './specs.ts';

export interface Part {
  /** Part of file names: `parallel`, `serial`. */
  title: string;
  specs: Spec[];
  processes: number;
}

export interface SuiteOptions {
  programs: Record<'e2e.test' | 'ginkgo' | 'kubectl', string>;
  kubeconfig: string;
  /** Folder for JUnit files and what ginkgo writes. */
  folder: string;
  /**
   * Deletes all namespaces but the cluster's own first, because a killed run leaves some. Only for a cluster that holds nothing
   * else.
   */
  cleanStart: boolean;
  onTold: (told: Told) => void;
}

export interface PartOutcome {
  results: Map<string, Result>;
  interrupted: boolean;
}

/**
 * Runs specs under ginkgo. An interrupt (SIGINT, SIGTERM) is passed on: ginkgo then waits until the running specs have cleaned
 * up.
 *
 * @throws UserError `conformance-suite` when the suite ended before its specs began, or between them
 */
export async function runPart(part: Part, options: SuiteOptions): Promise<PartOutcome> {
  mkdirSync(options.folder, { recursive: true });
  const stamp = `${part.title}-${new Date().toISOString().replace(/[-:]|\.\d+Z/g, '')}`;
  const report = path.join(options.folder, `ginkgo-${stamp}.json`);
  const log = path.join(options.folder, `ginkgo-${stamp}.log`);
  let told = 0;
  const onTold = (each: Told) => {
    told++;
    options.onTold(each);
  };
  try {
    const interrupted = await runGinkgo(part, ginkgoArguments(part, options, stamp), log, { ...options, onTold });
    const text = readIfThere(report);
    const results = text === undefined ? new Map() : readReport(text, new Set(part.specs.map(({ name }) => name)));
    if (text === undefined && told > 0 && !interrupted) throw died(told, log);
    if (results.size === 0 && !interrupted) throw notStarted(text === undefined ? [] : suiteFailures(text), log);
    return { results, interrupted };
  } finally {
    // The report has every spec of Kubernetes, also the thousands that were not chosen.
    rmSync(report, { force: true });
  }
}

function ginkgoArguments(part: Part, options: SuiteOptions, stamp: string): string[] {
  return [
    `--procs=${part.processes}`,
    '--timeout=24h',
    '--no-color',
    '-v',
    '--silence-skips',
    `--output-dir=${options.folder}`,
    `--json-report=ginkgo-${stamp}.json`,
    ...part.specs.map((spec) => `--focus=${focusOf(spec)}`),
    options.programs['e2e.test'],
    '--',
    `--kubeconfig=${options.kubeconfig}`,
    `--kubectl-path=${options.programs.kubectl}`,
    '--provider=skeleton',
    `--report-dir=${options.folder}`,
    `--report-prefix=${stamp}_`,
    '--node-schedulable-timeout=3m',
    '--system-pods-startup-timeout=3m',
    '--system-daemonsets-startup-timeout=3m',
    '--disable-log-dump',
    ...(options.cleanStart ? ['--clean-start'] : []),
  ];
}

/** @returns whether it was interrupted */
function runGinkgo(part: Part, args: string[], log: string, options: SuiteOptions): Promise<boolean> {
  // The suite gets its own session: otherwise Ctrl-C in a terminal would reach it twice, which means "do not clean up". It ends
  // with this process, also when this process is killed.
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', options.programs.ginkgo, ...args], {
    cwd: options.folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = createWriteStream(log);
  child.stderr.pipe(output, { end: false });
  const read = progressReader(part.specs.map(({ name }) => name));
  createInterface({ input: child.stdout }).on('line', (line) => {
    output.write(`${line}\n`);
    const told = read(line);
    if (told) options.onTold(told);
  });
  let interrupted = false;
  const passOn = (signal: NodeJS.Signals) => {
    interrupted = true;
    // The signal goes to the whole group, as from a terminal, because ginkgo does not pass it on to the suite's processes.
    process.kill(-child.pid!, signal);
  };
  process.on('SIGINT', passOn);
  process.on('SIGTERM', passOn);
  return new Promise<boolean>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => output.end(() => resolve(interrupted)));
  }).finally(() => {
    process.off('SIGINT', passOn);
    process.off('SIGTERM', passOn);
  });
}

function died(specs: number, log: string): UserError {
  return new UserError({
    what: `the conformance suite died after ${specs} specs`,
    why: lastWords(log),
    fix: `their results are kept: the same command with --resume goes on (look for memory first; ${log})`,
    anchor: 'conformance-suite',
  });
}

function notStarted(failures: string[], log: string): UserError {
  return new UserError({
    what: 'the conformance suite ended before its specs began',
    why: failures.length > 0 ? failures.join('\n') : lastWords(log),
    fix: `look at ${log}, and whether the cluster's nodes and its pods in kube-system are Ready`,
    anchor: 'conformance-suite',
  });
}

function lastWords(log: string): string | undefined {
  return readIfThere(log)?.trim().split('\n').slice(-8).join('\n');
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
