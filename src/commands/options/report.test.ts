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

test('what a server says controls no terminal', () => {
  reportError(new UserError({ what: 'a\x1b[2J\x07b', why: 'c\rd\u202ee', anchor: 'quota' }), []);
  reportError(new TypeError('f\x9bg'), []);
  expect(written.join('')).toContain('a\\u001b[2J\\u0007b');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  expect(written.join('').replace(/\x1b\[\d+m/g, '')).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
});
