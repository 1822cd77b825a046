/** Something that went wrong. */
export interface Finding {
  what: string;
  /** The output, or the evidence. */
  output?: string;
}

/** What every part of a run gets: random numbers, a time limit, and a receiver of progress. */
export interface Faults {
  random: () => number;
  /** Whether the time of this run has passed: the current step is completed, and no new one begins. */
  isOver(): boolean;
  progress(text: string): void;
}

/** A part of a run, for the report: its figures, one on a line, and its findings. */
export interface Part {
  name: string;
  figures: string[];
  findings: Finding[];
  seconds: number;
}

export interface FaultReport {
  seed: number;
  started: string;
  seconds: number;
  machine: string;
  parts: Part[];
  /** All results, by part. */
  details: Record<string, unknown>;
}

/** The whole report for a terminal. Pure. */
export function render(report: FaultReport): string {
  const findings = report.parts.flatMap(({ name, findings }) => findings.map((finding) => ({ name, finding })));
  return [
    `seed ${report.seed}, ${Math.round(report.seconds)} s, ${report.machine}`,
    ...report.parts.flatMap(({ name, figures, seconds }) => [
      '',
      `${name} (${Math.round(seconds)} s)`,
      ...figures.map((figure) => `  ${figure}`),
    ]),
    '',
    findings.length === 0 ? 'Nothing went wrong.' : `${findings.length} things went wrong:`,
    ...findings.flatMap(({ name, finding }) => [
      `  ${name}: ${finding.what}`,
      ...(finding.output ?? '')
        .trim()
        .split('\n')
        .slice(-60)
        .map((line) => `      ${line}`),
    ]),
  ].join('\n');
}
