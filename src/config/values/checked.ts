import * as z from 'zod';

/*
 * What one value may be: each is a schema for a field of the spec. An error message continues after the option and the value:
 * `--host "x y" contains a space`.
 */

/** What an API server is told of a value, which runs no code of ours: a CustomResourceDefinition's part of the schema. */
interface Told {
  maxLength: number;
  /** In CEL, about `self`. */
  rule?: string;
  /** What is said when the rule is broken. */
  message?: string;
}

/**
 * A string for which `problem` returns undefined; any other result is the error message. `told` says the same to an API server;
 * test/api/crd.test.ts finds what only one of the two refuses.
 */
export function checked(
  problem: (value: string) => string | undefined,
  { maxLength, rule, message }: Told = { maxLength: 1024 },
) {
  return z
    .string()
    .superRefine((value, context) => {
      const message = problem(value);
      if (message !== undefined) context.addIssue({ code: 'custom', message });
    })
    .meta({ maxLength, ...(rule !== undefined && { 'x-kubernetes-validations': [{ rule, message }] }) });
}

/** CEL's `matches` of a pattern, which RE2 has to know too. */
export const matches = (pattern: string, value = 'self') => `${value}.matches(r'${pattern}')`;

/** A string that a pattern describes, which RE2 knows too. @param message continues after the option and the value */
export function matching(pattern: RegExp, message: string, maxLength: number) {
  return checked((value) => (pattern.test(value) ? undefined : message), {
    maxLength,
    rule: matches(pattern.source.replaceAll('\\/', '/')),
    message,
  });
}

/** A rule about the keys of a map, which a schema for an API server cannot have. @param rule in CEL, about `key` */
export const everyKey = (rule: string, message: string) => ({
  'x-kubernetes-validations': [{ rule: `self.all(key, ${rule})`, message }],
});
