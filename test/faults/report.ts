/** Something that did not go as it has to. */
export interface Finding {
  what: string;
  /** What was printed, or what was found. */
  output?: string;
}

/** What every part of a run gets: its chance, its time, and somebody who listens. */
export interface Faults {
  random: () => number;
  /** Whether the time of this run has passed: what is under way is ended, nothing new is begun. */
  isOver(): boolean;
  progress(text: string): void;
}

/** A part of a run, for the report: the figures as a line each, and what went wrong. */
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
  /** Everything measured, by part. */
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
        .slice(-12)
        .map((line) => `      ${line}`),
    ]),
  ].join('\n');
}
