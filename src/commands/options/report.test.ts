import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type FailureKind, UserError } from '../../base/errors.ts';
import { reportError } from './report.ts';

const written: string[] = [];
beforeEach(() => {
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0);
});
afterEach(() => {
  vi.restoreAllMocks();
  written.length = 0;
});

const failure = (kind?: FailureKind) => new UserError({ what: 'no', anchor: 'quota', kind });

test.each([
  ['usage', 2],
  ['refused', 2],
  ['failed', 1],
  [undefined, 1],
] as const)('an error of kind %s ends the process with %i', (kind, code) => {
  expect(reportError(failure(kind), [])).toBe(code);
  expect(written.join('')).toContain('docs/checks.md#quota');
});

test('a bug says that it is one', () => {
  expect(reportError(new TypeError('x is not a function'), [])).toBe(1);
  expect(written.join('')).toContain('bug');
});
