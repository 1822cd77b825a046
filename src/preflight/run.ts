import { UserError } from '../base/errors.ts';
import { explainCallError } from '../kube/errors.ts';
import type { Reporter } from '../ui/reporter.ts';
import { type Check, type CheckResult, describeMissingRight, type Outcome, outcomeOf } from './check.ts';
import { asOneError, renderResult } from './render.ts';

/**
 * Asks everything that applies at once and waits for all answers. Of checks that failed, what depends on them is left out, so that
 * one cause is told once.
 */
export async function runChecks<Context>(checks: Check<Context>[], context: Context): Promise<CheckResult[]> {
  const applying = checks.filter((check) => check.applies?.(context) ?? true);
  const results = await Promise.all(applying.map((check) => result(check, context)));
  const failed = new Set(results.filter(({ outcome }) => outcome.state === 'failed').map(({ name }) => name));
  return results.filter((_, index) => !applying[index]!.dependsOn?.some((name) => failed.has(name)));
}

async function result<Context>(check: Check<Context>, context: Context): Promise<CheckResult> {
  const { name, severity } = check;
  const outcome = await check.probe(context).catch((error: unknown): Outcome => {
    // The check of the rights says what to do about it; here it only means that the question stays open.
    const right = describeMissingRight(error);
    if (right) return { state: 'unknown', why: right };
    return outcomeOf(explainCallError(error, `check: ${check.claim(context)}`));
  });
  const claim = (outcome.state === 'ok' && outcome.claim) || check.claim(context);
  const anchor = (outcome.state === 'failed' && outcome.anchor) || check.anchor;
  return { name, claim, anchor, severity, outcome };
}

/** The failures that are reason enough not to begin. */
export function failures(results: CheckResult[]): CheckResult[] {
  return results.filter(({ severity, outcome }) => severity === 'fatal' && outcome.state === 'failed');
}

/** Tells each result as a line. @throws UserError (kind `refused`) with every failure that is not only a warning */
export function demandPassed(results: CheckResult[], reporter: Reporter): void {
  for (const each of results) renderResult(each, reporter);
  const failed = failures(results);
  if (failed.length > 0) throw new UserError(asOneError(failed));
}
