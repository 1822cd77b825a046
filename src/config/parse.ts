import type * as z from 'zod';
import { didYouMean } from '../base/did-you-mean.ts';
import { UserError } from '../base/errors.ts';
import { problemsBetween } from './rules.ts';
import { type ClusterSpec, type ClusterSpecInput, clusterSpec, type FlagMeta } from './schema.ts';
import { resolveVersion } from './versions.ts';

/**
 * Validates the given values and adds defaults. Reports all problems together.
 *
 * @param source where the values come from, for the message: `on the command line`, `in cluster.yaml`
 * @param problemsAbove what else is wrong, a sentence each, by what rooms above know
 * @throws UserError `bad-values`
 */
export function parseSpec(
  input: Partial<ClusterSpecInput>,
  source: string,
  problemsAbove: (spec: ClusterSpec) => string[] = () => [],
): ClusterSpec {
  const result = clusterSpec.safeParse(input);
  const problems = result.success
    ? [...problemsBetween(result.data), ...problemsAbove(result.data)]
    : result.error.issues.flatMap((issue) => issueProblems(issue, input));
  if (problems.length > 0) {
    throw new UserError({
      what: problems.length === 1 ? problems[0]! : `${problems.length} values cannot be used`,
      why: problems.length === 1 ? undefined : problems.map((problem) => `\n  - ${problem}`).join(''),
      fix: `correct ${problems.length === 1 ? 'it' : 'them'} ${source}`,
      anchor: 'bad-values',
      kind: 'usage',
    });
  }
  const spec = result.data!;
  return { ...spec, kubernetesVersion: resolveVersion(spec.kubernetesVersion)! };
}

/** `--service-cidr` for `serviceCidr`: the name of a field as a person types it. */
export function flagOf(field: string): string {
  const schema = (clusterSpec.shape as Record<string, z.ZodType>)[field];
  const meta = schema?.meta() as FlagMeta | undefined;
  return meta ? `--${meta.flag}` : field;
}

function issueProblems(issue: z.core.$ZodIssue, input: unknown): string[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => `unknown field "${key}"${didYouMean(key, Object.keys(clusterSpec.shape))}`);
  const [field, ...rest] = issue.path;
  const value = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], input);
  const label = `${flagOf(String(field))}${rest.length > 0 && typeof rest[0] === 'string' ? ` ${rest.join('.')}` : ''}`;
  if (value === undefined) return [`${label} is missing`];
  const shown = typeof value === 'object' ? '' : ` "${String(value).slice(0, 80)}"`;
  const message =
    issue.code === 'invalid_value' && issue.message.startsWith('Invalid')
      ? `has to be ${issue.values.join(' or ')}`
      : issue.message.startsWith('Invalid input')
        ? wrongType(issue)
        : issue.message;
  return [`${label}${shown} ${message}`];
}

function wrongType(issue: z.core.$ZodIssue): string {
  return `has to be a ${'expected' in issue ? String(issue.expected) : 'different value'}`;
}
