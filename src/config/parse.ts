import type * as z from 'zod';
import { didYouMean } from '../base/did-you-mean.ts';
import { UserError } from '../base/errors.ts';
import { joined, type Words, words } from '../base/words.ts';
import { field } from './flags.ts';
import { problemsBetween } from './rules.ts';
import { type ClusterSpec, type ClusterSpecInput, clusterSpec } from './schema.ts';
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
  problemsAbove: (spec: ClusterSpec) => Words[] = () => [],
): ClusterSpec {
  const result = clusterSpec.safeParse(withWhatFollows(input));
  const problems = result.success
    ? [...problemsBetween(result.data), ...problemsAbove(result.data)]
    : result.error.issues.flatMap((issue) => issueProblems(issue, input));
  if (problems.length > 0) {
    throw new UserError({
      what: problems.length === 1 ? problems[0]! : `${problems.length} values cannot be used`,
      why:
        problems.length === 1
          ? undefined
          : joined(
              problems.map((problem) => words`\n  - ${problem}`),
              '',
            ),
      fix: `correct ${problems.length === 1 ? 'it' : 'them'} ${source}`,
      anchor: 'bad-values',
      kind: 'usage',
    });
  }
  const spec = result.data!;
  return { ...spec, kubernetesVersion: resolveVersion(spec.kubernetesVersion)! };
}

/**
 * What is chosen of the address by what else is chosen: a plane that nothing outside of the infra cluster reaches has its workers
 * there, and where those reach it by the service, a node port would have no use.
 */
function withWhatFollows(input: Partial<ClusterSpecInput>): Partial<ClusterSpecInput> {
  const inCluster = input.inCluster ?? (input.expose === 'cluster' ? 'clusterip' : undefined);
  if (inCluster !== 'clusterip') return input;
  const nodePort = input.expose === 'nodeport' || input.nodePort !== undefined;
  return { ...input, inCluster, allocateNodePorts: input.allocateNodePorts ?? nodePort };
}

function issueProblems(issue: z.core.$ZodIssue, input: unknown): Words[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => `unknown field "${key}"${didYouMean(key, Object.keys(clusterSpec.shape))}`);
  const [name, ...rest] = issue.path;
  const value = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], input);
  const known = clusterSpec.shape[name as keyof ClusterSpec];
  const label = words`${known ? field(name as keyof ClusterSpec) : String(name)}${rest.length > 0 && typeof rest[0] === 'string' ? ` ${rest.join('.')}` : ''}`;
  if (value === undefined) return [words`${label} is missing`];
  const shown = typeof value === 'object' ? '' : ` "${String(value).slice(0, 80)}"`;
  const message =
    issue.code === 'invalid_value' && issue.message.startsWith('Invalid')
      ? `has to be ${issue.values.join(' or ')}`
      : issue.message.startsWith('Invalid input')
        ? wrongType(issue)
        : issue.message;
  return [words`${label}${shown} ${message}`];
}

function wrongType(issue: z.core.$ZodIssue): string {
  return `has to be a ${'expected' in issue ? String(issue.expected) : 'different value'}`;
}
