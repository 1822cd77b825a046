import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Spec } from './specs.ts';

/** Whose API server the suite asked: a hosted plane's, or the sandbox's own infra cluster's. */
export type Side = 'hosted' | 'reference';

export interface Result {
  outcome: 'passed' | 'failed' | 'skipped';
  /** The beginning of a failure, or the suite's reason for skipping the spec. */
  cause?: string;
  seconds?: number;
}

interface Run {
  /** ISO 8601. */
  started: string;
  ended?: string;
  /** The command line. */
  command: string;
}

/** Results of one cluster over all runs, since the last run that began without earlier results. */
export interface Results {
  version: string;
  /** Options of `k8sk8s deploy` that the plane was made with. */
  options: string[];
  runs: Run[];
  specs: Record<string, Result>;
}

const fileOf = (folder: string, side: Side) => path.join(folder, `${side}.json`);

/**
 * @param options undefined for the results of any plane
 * @returns results without a spec when there are none of this version and these options yet
 */
export function loadResults(folder: string, side: Side, version: string, options?: string[]): Results {
  try {
    const found = JSON.parse(readFileSync(fileOf(folder, side), 'utf8')) as Results;
    if (found.version === version && (!options || found.options.join(' ') === options.join(' '))) return found;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return { version, options: options ?? [], runs: [], specs: {} };
}

/** Written whole or not at all, because a run may be killed at any moment and `--resume` reads the file. */
export function saveResults(folder: string, side: Side, results: Results): void {
  mkdirSync(folder, { recursive: true });
  const file = fileOf(folder, side);
  writeFileSync(`${file}.new`, `${JSON.stringify(results, null, 1)}\n`);
  renameSync(`${file}.new`, file);
}

export interface Again {
  /** Only specs that have neither passed nor been skipped by the suite. */
  resume?: boolean;
  /** Only specs that failed. */
  rerunFailed?: boolean;
}

/**
 * Which of the chosen specs run now.
 *
 * @param known results of the cluster that is asked
 * @param failedElsewhere results whose failures count for `rerunFailed`: the reference is asked what the plane failed
 */
export function toRun(chosen: Spec[], known: Results, again: Again, failedElsewhere: Results = known): Spec[] {
  return chosen.filter(({ name }) => {
    if (again.rerunFailed && failedElsewhere.specs[name]?.outcome !== 'failed') return false;
    return !again.resume || known.specs[name] === undefined || known.specs[name].outcome === 'failed';
  });
}
