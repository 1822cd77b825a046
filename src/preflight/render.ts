import { factsOf, type UserErrorInit } from '../base/errors.ts';
import { again, joined, type Words, words } from '../base/words.ts';
import type { Reporter } from '../ui/reporter.ts';
import { inTerminal } from '../ui/words.ts';
import type { CheckResult } from './check.ts';

/** One line a check: `CHECK: Access to cluster confirmed`. */
export function renderResult({ claim, severity, outcome }: CheckResult, reporter: Reporter): void {
  if (outcome.state === 'ok') reporter.line(`CHECK: ${claim}`);
  else if (outcome.state === 'unknown') reporter.line(words`CHECK: ${claim}? Unknown: ${outcome.why}`);
  else if (severity === 'warning')
    reporter.warn(words`${factsOf(outcome)}${outcome.fix ? `. ${capital(inTerminal(outcome.fix))}` : ''}`);
  else reporter.line(`CHECK: ${claim}? NO`);
}

/** All failures as one error. */
export function asOneError(failed: CheckResult[]): UserErrorInit {
  const [only] = failed;
  const fields = ({ outcome }: CheckResult) =>
    outcome.state === 'failed' ? outcome : { what: '', why: undefined, fix: undefined };
  if (failed.length === 1) return { ...fields(only!), anchor: only!.anchor, kind: 'refused' };
  const items = failed.map((each): Words => {
    const { what, why, fix } = fields(each);
    return words`\n  - ${what}${why ? words`\n    why: ${why}` : ''}${fix ? words`\n    do:  ${fix}` : ''}`;
  });
  return {
    what: `${failed.length} checks failed, nothing was made`,
    why: joined(items, ''),
    fix: words`fix these and ${again}`,
    anchor: only!.anchor,
    kind: 'refused',
  };
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
