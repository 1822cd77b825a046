import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Spec } from './specs.ts';

/** Whose API server the suite asked: a hosted plane's, or the sandbox's own infra cluster's. */
export type Side = 'hosted' | 'reference';

export interface Result {
  outcome: 'passed' | 'failed' | 'skipped';
  /** Of a failure its first words, of a skipped spec the suite's reason. */
  cause?: string;
  seconds?: number;
}

interface Run {
  /** ISO 8601. */
  started: string;
  ended?: string;
  /** What was typed. */
  command: string;
}

/** What is known about one cluster, over all runs since the last one that began anew. */
export interface Results {
  version: string;
  /** Options of `k8sk8s deploy` that the plane was made with. */
  options: string[];
  runs: Run[];
  specs: Record<string, Result>;
}

const fileOf = (folder: string, side: Side) => path.join(folder, `${side}.json`);

/**
 * @param options undefined for results of whatever plane there is
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

/** Whole or not at all: a run may be killed at any moment, and `--resume` reads this. */
export function saveResults(folder: string, side: Side, results: Results): void {
  mkdirSync(folder, { recursive: true });
  const file = fileOf(folder, side);
  writeFileSync(`${file}.new`, `${JSON.stringify(results, null, 1)}\n`);
  renameSync(`${file}.new`, file);
}

export interface Again {
  /** Only what has not passed (or been skipped by the suite) yet. */
  resume?: boolean;
  /** Only what failed. */
  rerunFailed?: boolean;
}

/**
 * Those of the chosen specs that are to run now.
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
