import type { Result } from './results.ts';

/** The fields that are read of ginkgo's JSON report (github.com/onsi/ginkgo/v2/types, Report and SpecReport). */
interface SpecReport {
  ContainerHierarchyTexts: string[] | null;
  LeafNodeType: string;
  LeafNodeText: string;
  State: string;
  /** Nanoseconds. */
  RunTime: number;
  Failure?: { Message?: string };
}

type Report = { SuiteSucceeded: boolean; SpecReports: SpecReport[] | null }[];

/**
 * Results of the chosen specs, by name. A spec that ginkgo's report calls interrupted or aborted has no result.
 *
 * @param text ginkgo's `--json-report`
 */
export function readReport(text: string, wanted: Set<string>): Map<string, Result> {
  const results = new Map<string, Result>();
  for (const report of (JSON.parse(text) as Report).flatMap(({ SpecReports }) => SpecReports ?? [])) {
    const name = [...(report.ContainerHierarchyTexts ?? []), report.LeafNodeText].join(' ');
    const outcome = outcomes[report.State];
    if (report.LeafNodeType !== 'It' || !wanted.has(name) || !outcome) continue;
    results.set(name, {
      outcome,
      seconds: Math.round(report.RunTime / 1e8) / 10,
      ...(outcome !== 'passed' && { cause: causeOf(report) }),
    });
  }
  return results;
}

/** Failures outside any spec: the suite could not begin or end. */
export function suiteFailures(text: string): string[] {
  return (JSON.parse(text) as Report)
    .flatMap(({ SpecReports }) => SpecReports ?? [])
    .filter(({ LeafNodeType, State }) => LeafNodeType.includes('Suite') && State === 'failed')
    .map((report) => `${report.LeafNodeType}: ${causeOf(report)}`);
}

const outcomes: Record<string, Result['outcome'] | undefined> = {
  passed: 'passed',
  failed: 'failed',
  panicked: 'failed',
  timedout: 'failed',
  skipped: 'skipped',
};

/** The beginning of a failure in one line, because gomega prints objects over many pages. */
function causeOf({ Failure, State }: SpecReport): string {
  const lines = (Failure?.Message ?? State).split('\n').map((line) => line.trim());
  const end = lines.findIndex((line) => /^(<[*\w.{}[\] ]+>|\{)/.test(line));
  const text = lines
    .slice(0, end > 0 ? end : 4)
    .filter(Boolean)
    .join(' ');
  // The inner error says more than gomega's wrapper.
  const inner = lines.find((line) => /^(s|msg|Err|ErrStatus|Message): "?.+/.test(line));
  const whole = inner && end > 0 ? `${text} ${inner}` : text;
  return whole.length > 400 ? `${whole.slice(0, 399)}…` : whole;
}
