import { inspect } from 'node:util';
import type { Anchor } from '../src/base/anchors.ts';
import type { Finding } from '../src/base/errors.ts';
import { explained } from '../src/ui/words.ts';

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * What a test says of a refusal: the anchor that it is explained under, and the names that it has to tell (of an object, an option,
 * a file, a value; what another program said). Not its sentences, which may change. For `expect(…).toEqual`,
 * `expect(…).rejects.toEqual` and `expect(() => …).toThrow`.
 *
 * It matches a `UserError`, a finding that is no error (a problem of a plane, what stands against an upgrade), and the outcome of a command that ended with another code than 0 and said so once, with a way on
 * and without a stack trace.
 */
export function refused(anchor: Anchor, ...names: (string | RegExp)[]): Error {
  // A failure prints this matcher beside a shortened outcome, so the matcher has to say what it met.
  let met = '';
  const matcher = {
    asymmetricMatch: (actual: unknown): boolean => {
      const found = faults(actual, anchor, names);
      met =
        found.length > 0 ? `, but ${found.join(', ')}: ${isFinding(actual) ? explained(actual) : inspect(actual)}` : '';
      return found.length === 0;
    },
    getExpectedType: () => 'object',
    toString: () => 'Refused',
    toAsymmetricMatcher: () => `refused(${[anchor, ...names].map((each) => inspect(each)).join(', ')})${met}`,
  };
  // Vitest asks nothing else of it; toThrow wants an error by its types.
  return matcher as unknown as Error;
}

const isFinding = (actual: unknown): actual is Finding =>
  typeof actual === 'object' && actual !== null && 'what' in actual;

function faults(actual: unknown, anchor: Anchor, names: (string | RegExp)[]): string[] {
  const text = isFinding(actual) ? explained(actual) : (actual as Outcome).stderr;
  const missing = names
    .filter((name) => (typeof name === 'string' ? !text.includes(name) : !name.test(text)))
    .map((name) => `does not tell ${inspect(name)}`);
  if (isFinding(actual))
    return actual.anchor === anchor ? missing : [`is explained under ${actual.anchor}`, ...missing];
  const { code, stderr } = actual as Outcome;
  return [
    ...(code === 0 ? ['it was not refused'] : []),
    ...(stderr.includes(`  see: docs/checks.md#${anchor}\n`) ? [] : [`is not explained under ${anchor}`]),
    ...(stderr.match(/^ERROR /gm)?.length === 1 ? [] : ['is not told once']),
    ...(/\n\s+at .*:\d+:\d+|ApiException|this is a bug|\bundefined\b|\[object/.test(stderr) ? ['is no sentence'] : []),
    ...missing,
  ];
}
