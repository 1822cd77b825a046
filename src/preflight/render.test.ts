import { expect, test } from 'vitest';
import type { Anchor } from '../base/anchors.ts';
import { UserError } from '../base/errors.ts';
import type { Words } from '../base/words.ts';
import { completeReporter } from '../ui/reporter.ts';
import { inTerminal } from '../ui/words.ts';
import type { CheckResult, Outcome } from './check.ts';
import { asOneError, renderResult } from './render.ts';

function result(outcome: Outcome, severity: 'fatal' | 'warning' = 'fatal', anchor: Anchor = 'host'): CheckResult {
  return { name: 'x', claim: 'API server host k.example.com resolves', anchor, severity, outcome };
}

function rendered(each: CheckResult): string[] {
  const lines: string[] = [];
  const begin = () => ({ update: () => undefined, done: () => undefined, fail: () => undefined });
  const line = (text: Words) => void lines.push(inTerminal(text));
  renderResult(
    each,
    completeReporter({ line, warn: (text) => line(`WARNING ${inTerminal(text)}`), debug: line, begin }),
  );
  return lines;
}

test('each check is one line', () => {
  expect(rendered(result({ state: 'ok' }))).toEqual(['CHECK: API server host k.example.com resolves']);
  expect(rendered(result({ state: 'failed', what: 'no' }))).toEqual([
    'CHECK: API server host k.example.com resolves? NO',
  ]);
  expect(rendered(result({ state: 'unknown', why: 'nobody says' }))).toEqual([
    'CHECK: API server host k.example.com resolves? Unknown: nobody says',
  ]);
  expect(rendered(result({ state: 'failed', what: 'odd', why: 'so it is', fix: 'look again' }, 'warning'))).toEqual([
    'WARNING odd: so it is. Look again',
  ]);
});

test('one failure is the error itself', () => {
  const error = new UserError(asOneError([result({ state: 'failed', what: 'no', why: 'because', fix: 'do this' })]));
  expect(error).toMatchObject({ what: 'no', why: 'because', fix: 'do this', anchor: 'host', kind: 'refused' });
});

test('several failures are one error that lists each with its why and what to do', () => {
  const { what, why, anchor, kind } = asOneError([
    result({ state: 'failed', what: 'first', why: 'a', fix: 'b' }, 'fatal', 'rights'),
    result({ state: 'failed', what: 'second' }),
  ]);
  expect(what).toContain('2 checks failed');
  expect(inTerminal(why!)).toBe('\n  - first\n    why: a\n    do:  b\n  - second');
  expect([anchor, kind]).toEqual(['rights', 'refused']);
});
