import type { ClusterSpec } from '../config/schema.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { Existing } from '../live/apply.ts';
import { readRecord } from '../live/record.ts';
import type { Reporter } from '../ui/reporter.ts';
import { host, infraServices, networks } from './address-checks.ts';
import { admissionChecks, pullSecret } from './admission-checks.ts';
import type { CheckResult, DeployCheck, DeployContext } from './check.ts';
import { access, namespace, rights } from './cluster-checks.ts';
import { hostTaken } from './host-taken.ts';
import { networkChecks } from './network-checks.ts';
import { planeChecks } from './plane-checks.ts';
import { demand, runChecks } from './run.ts';

/** Everything that is checked before deploy makes anything, in the order in which it is told. */
export const preflightChecks: DeployCheck[] = [
  access,
  namespace,
  rights,
  host,
  hostTaken,
  ...planeChecks,
  ...admissionChecks,
  ...networkChecks,
  networks,
  infraServices,
  pullSecret,
];

/** Runs all checks. Without access only that one is asked. */
export async function assess(cluster: InfraCluster, spec: ClusterSpec): Promise<CheckResult[]> {
  let existing: Promise<Existing> | undefined;
  let record: ReturnType<typeof readRecord> | undefined;
  const context: DeployContext = {
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
  const first = await runChecks([access], context);
  if (first[0]!.outcome.state !== 'ok') return first;
  const others = preflightChecks.filter((check) => check !== access);
  return [...first, ...(await runChecks(others, context))];
}

/**
 * Runs all checks and tells each as a line.
 *
 * @throws UserError (kind `refused`) with every failure that is not only a warning
 */
export async function runPreflight(cluster: InfraCluster, spec: ClusterSpec, reporter: Reporter): Promise<void> {
  demand(await assess(cluster, spec), reporter);
}
