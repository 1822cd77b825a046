import { UserError } from '../errors.ts';
import type { InfraCluster } from '../kube/cluster.ts';
import { explainInfraError, isForbidden } from '../kube/errors.ts';
import { Existing } from '../plane/apply.ts';
import { ownedArgumentProblems } from '../plane/arguments.ts';
import { readRecord } from '../record.ts';
import type { ClusterSpec } from '../spec.ts';
import type { Reporter } from '../ui/reporter.ts';
import { admissionChecks } from './admission-checks.ts';
import { type Check, type CheckContext, type CheckResult, type Outcome, ok, outcomeOf } from './check.ts';
import { access, clusterChecks } from './cluster-checks.ts';
import { renderResult, summary } from './render.ts';

const ownedArguments: Check = {
  name: 'arguments',
  claim: () => 'No argument is given that k8sk8s sets itself',
  anchor: 'owned-argument',
  severity: 'fatal',
  async probe({ spec }) {
    const problems = ownedArgumentProblems(spec);
    return problems.length === 0
      ? ok()
      : { state: 'failed', what: problems.join('; '), fix: 'leave it out, or use the option named' };
  },
};

/** Everything that is checked before deploy makes anything, in the order in which it is told. */
export const preflightChecks: Check[] = [access, ...clusterChecks, ownedArguments, ...admissionChecks];

/** Asks everything at once and waits for all answers; without access only that one is asked. */
export async function assess(cluster: InfraCluster, spec: ClusterSpec): Promise<CheckResult[]> {
  let existing: Promise<Existing> | undefined;
  let record: ReturnType<typeof readRecord> | undefined;
  const context: CheckContext = {
    cluster,
    spec,
    existing: () => {
      existing ??= Existing.read(cluster);
      return existing;
    },
    record: () => {
      record ??= readRecord(cluster);
      return record;
    },
  };
  const first = await result(access, context);
  if (first.outcome.state !== 'ok') return [first];
  const others = preflightChecks.filter((check) => check !== access && (check.applies?.(spec) ?? true));
  return [first, ...(await Promise.all(others.map((check) => result(check, context))))];
}

async function result(check: Check, context: CheckContext): Promise<CheckResult> {
  const { name, anchor, severity } = check;
  const outcome = await check.probe(context).catch((error: unknown): Outcome => {
    // The check of the rights says which one is missing; here it only means that the question stays open.
    if (isForbidden(error)) return { state: 'unknown', why: 'a right is missing' };
    return outcomeOf(explainInfraError(error, `check: ${check.claim(context)}`));
  });
  return { name, claim: (outcome.state === 'ok' && outcome.claim) || check.claim(context), anchor, severity, outcome };
}

/**
 * Runs all checks and tells each as a line.
 *
 * @throws UserError (exit code 2) with every failure that is not only a warning
 */
export async function runPreflight(cluster: InfraCluster, spec: ClusterSpec, reporter: Reporter): Promise<void> {
  const results = await assess(cluster, spec);
  for (const each of results) renderResult(each, reporter);
  const failed = results.filter(({ severity, outcome }) => severity === 'fatal' && outcome.state === 'failed');
  if (failed.length > 0) throw new UserError(summary(failed));
}
