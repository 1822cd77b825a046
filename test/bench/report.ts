import { readFileSync } from 'node:fs';
import { UserError } from '../../src/base/errors.ts';
import { table } from '../../src/ui/table.ts';
import { type MachineState, machineLine } from './machine.ts';
import type { Phase } from './phases.ts';
import { compare, type Summary, summarize } from './statistics.ts';

/** One deploy beside one floor. */
export interface Pair {
  first: 'deploy' | 'floor';
  deployMs: number;
  floorMs: number;
  /** deployMs / floorMs. */
  ratio: number;
  /** Milliseconds until the deploy command had ended, and of destroy. */
  doneMs: number;
  destroyMs: number;
  /** From the start of wake to AVAILABLE; undefined where etcd is ephemeral. */
  wakeMs?: number;
  phases: Phase[];
}

export interface Report {
  machine: MachineState;
  /** Options of deploy beyond the host and the namespace. */
  options: string[];
  pairs: Pair[];
  summary: {
    deployMs: Summary;
    floorMs: Summary;
    ratio: Summary;
    doneMs: Summary;
    destroyMs: Summary;
    wakeMs?: Summary;
    /** wakeMs / floorMs. */
    wakeRatio?: Summary;
  };
  /** Each phase from the median of its beginnings to the median of its ends, over all pairs. */
  waterfall: Phase[];
}

export function reportOf(machine: MachineState, options: string[], pairs: Pair[]): Report {
  const of = (field: 'deployMs' | 'floorMs' | 'ratio' | 'doneMs' | 'destroyMs') =>
    summarize(pairs.map((pair) => pair[field]));
  const woken = pairs.flatMap(({ wakeMs, floorMs }) =>
    wakeMs === undefined ? [] : [{ wakeMs, ratio: wakeMs / floorMs }],
  );
  return {
    machine,
    options,
    pairs,
    summary: {
      deployMs: of('deployMs'),
      floorMs: of('floorMs'),
      ratio: of('ratio'),
      doneMs: of('doneMs'),
      destroyMs: of('destroyMs'),
      ...(woken.length > 0 && {
        wakeMs: summarize(woken.map(({ wakeMs }) => wakeMs)),
        wakeRatio: summarize(woken.map(({ ratio }) => ratio)),
      }),
    },
    waterfall: medianPhases(pairs.map(({ phases }) => phases)),
  };
}

function medianPhases(runs: Phase[][]): Phase[] {
  return (runs[0] ?? []).flatMap(({ name }) => {
    const own = runs.flatMap((phases) => phases.filter((phase) => phase.name === name));
    const median = (values: number[]) => summarize(values).median;
    return own.length < runs.length
      ? []
      : [{ name, from: median(own.map(({ from }) => from)), to: median(own.map(({ to }) => to)) }];
  });
}

/** The whole report for a terminal. Pure. */
export function render(report: Report): string {
  const { machine, summary, pairs, waterfall } = report;
  const figures = (name: string, { median, minimum, maximum, noise }: Summary, format = seconds) => [
    name,
    format(median),
    format(minimum),
    format(maximum),
    format(noise),
  ];
  return [
    machineLine(machine),
    ...(report.options.length > 0 ? [`deploy ${report.options.join(' ')}`] : []),
    '',
    table(
      ['PAIR', 'FIRST', 'DEPLOY', 'FLOOR', 'RATIO'],
      pairs.map((pair, index) => [
        String(index + 1),
        pair.first,
        seconds(pair.deployMs),
        seconds(pair.floorMs),
        ratio(pair.ratio),
      ]),
    ),
    '',
    table(
      ['', 'MEDIAN', 'MINIMUM', 'MAXIMUM', 'MIDDLE HALF'],
      [
        figures('deploy to AVAILABLE', summary.deployMs),
        figures('floor', summary.floorMs),
        figures('ratio of pairs', summary.ratio, ratio),
        figures('deploy to its end', summary.doneMs),
        figures('destroy', summary.destroyMs),
        ...(summary.wakeMs ? [figures('wake to AVAILABLE', summary.wakeMs)] : []),
        ...(summary.wakeRatio ? [figures('ratio of wake to floor', summary.wakeRatio, ratio)] : []),
      ],
    ),
    '',
    table(
      ['PHASE', 'FROM', 'TO', 'TAKES'],
      waterfall.map(({ name, from, to }) => [name, ...[from, to, to - from].map((each) => `${Math.round(each)} ms`)]),
    ),
  ].join('\n');
}

/** Compares with an earlier report; a difference counts when it is larger than the noise of both. Pure. */
export function renderComparison(before: Report, now: Report): string {
  const rows = (
    [
      ['deploy to AVAILABLE', 'deployMs', seconds],
      ['floor', 'floorMs', seconds],
      ['ratio of pairs', 'ratio', ratio],
      ['deploy to its end', 'doneMs', seconds],
      ['destroy', 'destroyMs', seconds],
    ] as const
  ).map(([name, field, format]) => {
    const {
      before: old,
      now: fresh,
      noise,
      ratio: change,
      verdict,
    } = compare(before.summary[field], now.summary[field]);
    return [name, format(old), format(fresh), `${((change - 1) * 100).toFixed(1)} %`, format(noise), verdict];
  });
  return [
    `Before: ${before.machine.time}, ${machineLine(before.machine)}`,
    table(['', 'BEFORE', 'NOW', 'CHANGE', 'NOISE', ''], rows),
  ].join('\n');
}

/** @throws UserError when the file is not a report of `--json` */
export function readReport(file: string): Report {
  try {
    const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
    if (report.summary.deployMs && report.summary.ratio) return report;
  } catch (error) {
    throw notAReport(file, error instanceof Error ? error.message : String(error));
  }
  throw notAReport(file, 'it has no summary');
}

function notAReport(file: string, why: string): UserError {
  return new UserError({
    what: `${file} is not the report of an earlier run`,
    why,
    fix: 'name a file that --json wrote',
    anchor: 'bad-file',
    kind: 'usage',
  });
}

const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(2)} s`;
const ratio = (value: number) => value.toFixed(2);
