import type { Phase, Reporter } from '../../src/ui/reporter.ts';
import { progressText } from './progress.ts';
import { count } from './report.ts';
import { type Again, loadResults, type Results, type Side, saveResults, toRun } from './results.ts';
import { type Spec, selectSpecs } from './specs.ts';
import { type Part, runPart, type SuiteOptions } from './suite.ts';

export interface Asked extends Again {
  focus?: RegExp;
  skip?: RegExp;
  /** Specs at a time. */
  parallel: number;
  side: Side;
  version: string;
  /** Options of `k8sk8s deploy`; the reference has none. */
  options: string[];
  /** Where results are kept. */
  folder: string;
  /** The arguments of the command line, for the report. */
  typed: string[];
}

export interface Outcome {
  chosen: Spec[];
  results: Results;
  /** The person or the system stopped it. */
  interrupted: boolean;
}

/**
 * Runs the chosen specs, first those that may run beside others, then the rest, and keeps each result as it comes.
 *
 * @throws UserError `conformance-suite`
 */
export async function runSpecs(
  specs: Spec[],
  asked: Asked,
  cluster: Pick<SuiteOptions, 'programs' | 'kubeconfig'>,
  reporter: Reporter,
): Promise<Outcome> {
  const { folder, side, version, options } = asked;
  const goesOn = asked.resume || asked.rerunFailed;
  const results: Results = goesOn
    ? loadResults(folder, side, version, options)
    : { version, options, runs: [], specs: {} };
  const failedElsewhere = side === 'reference' ? loadResults(folder, 'hosted', version) : results;
  const chosen = toRun(selectSpecs(specs, asked.focus, asked.skip), results, asked, failedElsewhere);
  reporter.line(`${chosen.length} of ${specs.length} conformance specs of Kubernetes ${version} to run`);
  const run: Results['runs'][number] = {
    started: new Date().toISOString(),
    command: ['npm run conformance --', ...asked.typed].join(' '),
  };
  results.runs.push(run);
  const save = () => {
    run.ended = new Date().toISOString();
    saveResults(folder, side, results);
  };
  const interrupted = await runAll(partsOf(chosen, asked.parallel), results, reporter, {
    ...cluster,
    folder,
    // The infra cluster has planes, whose namespaces must not be deleted.
    cleanStart: side === 'hosted',
    save,
  });
  save();
  return { chosen, results, interrupted };
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
    const work = async (phase: Phase) => {
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
          // Without a terminal there is no live line.
          if (!process.stderr.isTTY && now - seen.said > 60_000) {
            seen.said = now;
            reporter.line(text);
          }
        },
      });
      for (const [spec, result] of outcome.results) results.specs[spec] = result;
      options.save();
      return outcome;
    };
    const counted = () => {
      const counts = count(part.specs, results);
      return `${title}: ${counts.passed} passed, ${counts.failed} failed`;
    };
    const outcome = await reporter.during(`${title}: ${part.specs.length} specs`, work, counted);
    if (outcome.interrupted) return true;
  }
  return false;
}
