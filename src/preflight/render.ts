import type { UserErrorInit } from '../base/errors.ts';
import type { Reporter } from '../ui/reporter.ts';
import type { CheckResult } from './check.ts';

/** One line a check: `CHECK: Access to cluster confirmed`. */
export function renderResult({ claim, severity, outcome }: CheckResult, reporter: Reporter): void {
  if (outcome.state === 'ok') reporter.line(`CHECK: ${claim}`);
  else if (outcome.state === 'unknown') reporter.line(`CHECK: ${claim}? Unknown: ${outcome.why}`);
  else if (severity === 'warning')
    reporter.warn(
      `${outcome.what}${outcome.why ? `: ${outcome.why}` : ''}${outcome.fix ? `. ${capital(outcome.fix)}` : ''}`,
    );
  else reporter.line(`CHECK: ${claim}? NO`);
}

/** All failures as one error. */
export function summary(failed: CheckResult[]): UserErrorInit {
  const [only] = failed;
  const fields = ({ outcome }: CheckResult) =>
    outcome.state === 'failed' ? outcome : { what: '', why: undefined, fix: undefined };
  if (failed.length === 1) return { ...fields(only!), anchor: only!.anchor, kind: 'refused' };
  const items = failed.map((each) => {
    const { what, why, fix } = fields(each);
    return `\n  - ${what}${why ? `\n    why: ${why}` : ''}${fix ? `\n    do:  ${fix}` : ''}`;
  });
  return {
    what: `${failed.length} checks failed, nothing was made`,
    why: items.join(''),
    fix: 'mend these and run the same command again',
    anchor: only!.anchor,
    kind: 'refused',
  };
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
