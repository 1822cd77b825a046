import type { ClusterSpec } from '../config/schema.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { Existing } from '../live/apply.ts';
import { readRecord } from '../live/record.ts';
import type { Reporter } from '../ui/reporter.ts';
import { host, infraServices, networks, tunnelHost } from './address-checks.ts';
import { admissionChecks, pullSecret } from './admission-checks.ts';
import type { CheckResult, DeployCheck, DeployContext } from './check.ts';
import { access, namespace, rights } from './cluster-checks.ts';
import { exposureChecks } from './exposure-checks.ts';
import { hostTaken } from './host-taken.ts';
import { logChecks } from './log-checks.ts';
import { networkChecks } from './network-checks.ts';
import { infraIssuer, planeChecks } from './plane-checks.ts';
import { quotaRoom } from './quota.ts';
import { demandPassed, runChecks } from './run.ts';
import { workerPodChecks } from './worker-pod-checks.ts';

/** Everything that is checked before deploy makes anything, in the order in which it is told. */
export const preflightChecks: DeployCheck[] = [
  access,
  namespace,
  rights,
  host,
  tunnelHost,
  hostTaken,
  ...planeChecks,
  ...admissionChecks,
  ...exposureChecks,
  ...workerPodChecks,
  ...logChecks,
  ...networkChecks,
  networks,
  infraServices,
  pullSecret,
];

function contextOf(cluster: InfraCluster, spec: ClusterSpec): DeployContext {
  let existing: Promise<Existing> | undefined;
  let record: ReturnType<typeof readRecord> | undefined;
  return {
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
}

/** Runs all checks. Without access only that one is asked. */
export async function runDeployChecks(cluster: InfraCluster, spec: ClusterSpec): Promise<CheckResult[]> {
  return runDeployChecksIn(contextOf(cluster, spec));
}

async function runDeployChecksIn(context: DeployContext): Promise<CheckResult[]> {
  const first = await runChecks([access], context);
  if (first[0]!.outcome.state !== 'ok') return first;
  const others = preflightChecks.filter((check) => check !== access);
  return [...first, ...(await runChecks(others, context))];
}

/** What preflight learns that deploy wants to know as well. */
export interface PreflightFacts {
  /** Of a plane that trusts the infra cluster's service accounts. */
  infraIssuer?: string;
}

/**
 * Runs all checks and tells each as a line.
 *
 * @param how `restores` where the plane comes from a backup, `asRecorded` where the spec is that of the record
 * @throws UserError (kind `refused`) with every failure that is not only a warning
 */
export async function runPreflight(
  cluster: InfraCluster,
  spec: ClusterSpec,
  reporter: Reporter,
  how: Pick<DeployContext, 'restores' | 'asRecorded'> = {},
): Promise<PreflightFacts> {
  const context = { ...contextOf(cluster, spec), ...how };
  demandPassed(await runDeployChecksIn(context), reporter);
  // Where it could not be learnt, the step of deploy says so.
  return spec.trustInfra.length > 0 ? { infraIssuer: await infraIssuer(context).catch(() => undefined) } : {};
}

/** The checks about worker pods alone, for a plane that is to have more of them. @throws UserError as runPreflight */
export async function demandForWorkerPods(cluster: InfraCluster, spec: ClusterSpec, reporter: Reporter): Promise<void> {
  demandPassed(await runChecks(workerPodChecks, contextOf(cluster, spec)), reporter);
}

/** The checks about what keeps the logs alone, for a plane that is to keep some. @throws UserError as runPreflight */
export async function demandForLogs(cluster: InfraCluster, spec: ClusterSpec, reporter: Reporter): Promise<void> {
  demandPassed(await runChecks([...logChecks, quotaRoom], contextOf(cluster, spec)), reporter);
}
