import { UserError } from '../base/errors.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { explainCallError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { Existing } from '../live/apply.ts';
import { readRecord } from '../live/record.ts';
import type { Reporter } from '../ui/reporter.ts';
import { host, infraServices, networks } from './address-checks.ts';
import { admissionChecks, pullSecret } from './admission-checks.ts';
import {
  type Check,
  type CheckContext,
  type CheckResult,
  describeMissingRight,
  type Outcome,
  outcomeOf,
} from './check.ts';
import { access, namespace, rights } from './cluster-checks.ts';
import { planeChecks } from './plane-checks.ts';
import { renderResult, summary } from './render.ts';

/** Everything that is checked before deploy makes anything, in the order in which it is told. */
export const preflightChecks: Check[] = [
  access,
  namespace,
  rights,
  host,
  ...planeChecks,
  ...admissionChecks,
  networks,
  infraServices,
  pullSecret,
];

/**
 * Asks everything at once and waits for all answers. Without access only that one is asked; of checks that failed, what
 * depends on them is left out, so that one cause is told once.
 */
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
  const results = await Promise.all(others.map((check) => result(check, context)));
  const failed = new Set(results.filter(({ outcome }) => outcome.state === 'failed').map(({ name }) => name));
  return [first, ...results.filter((_, index) => !others[index]!.dependsOn?.some((name) => failed.has(name)))];
}

async function result(check: Check, context: CheckContext): Promise<CheckResult> {
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

/**
 * Runs all checks and tells each as a line.
 *
 * @throws UserError (kind `refused`) with every failure that is not only a warning
 */
export async function runPreflight(cluster: InfraCluster, spec: ClusterSpec, reporter: Reporter): Promise<void> {
  const results = await assess(cluster, spec);
  for (const each of results) renderResult(each, reporter);
  const failed = results.filter(({ severity, outcome }) => severity === 'fatal' && outcome.state === 'failed');
  if (failed.length > 0) throw new UserError(summary(failed));
}
