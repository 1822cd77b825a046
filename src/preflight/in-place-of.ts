import { UserError } from '../base/errors.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { isQuotaExceeded } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { Existing } from '../live/apply.ts';
import type { PlaneRecord } from '../plane/record.ts';
import { quietReporter } from '../ui/quiet.ts';
import { admissionChecks } from './admission-checks.ts';
import type { DeployCheck, DeployContext, Outcome } from './check.ts';
import { preflightChecks } from './deploy-checks.ts';
import { exposureChecks } from './exposure-checks.ts';
import { hostTaken } from './host-taken.ts';
import { networkChecks } from './network-checks.ts';
import { quotaRoom } from './quota.ts';
import { demandPassed, runChecks } from './run.ts';

/** They try objects that are there as changes, and know the plane that is there by its objects; all others take it for gone. */
const besideWhatIsThere = [hostTaken, ...admissionChecks, ...exposureChecks, ...networkChecks];

/**
 * The checks of a plane that is to come from a backup in the place of another one, while that is still there. Only an empty namespace tells
 * whether the quota has room, so that is checked when it is one.
 *
 * @param there the record of the plane that is there
 * @throws UserError (kind `refused`) as runPreflight
 */
export async function demandInPlaceOf(
  cluster: InfraCluster,
  there: PlaneRecord | undefined,
  spec: ClusterSpec,
): Promise<void> {
  const existing = await Existing.read(cluster);
  const gone: DeployContext = {
    cluster,
    spec,
    existing: async () => existing.without(there?.planeId),
    record: async () => undefined,
    restores: true,
  };
  // As far as what is to come is concerned, the plane has what is asked for, and has never run.
  const beside: DeployContext = {
    ...gone,
    existing: async () => existing,
    record: async () => there && { ...there, spec, phase: 'restoring' },
  };
  const checks = preflightChecks
    .filter((check) => check !== quotaRoom)
    .map((check): DeployCheck => {
      const context = besideWhatIsThere.includes(check) ? beside : gone;
      return { ...check, probe: () => check.probe(context).catch(unlessQuota) };
    });
  demandPassed(await runChecks(checks, gone), quietReporter);
}

function unlessQuota(error: unknown): Outcome {
  if (error instanceof UserError && isQuotaExceeded(error.cause))
    return { state: 'unknown', why: 'the quota may have room for it when the plane that is there has gone' };
  throw error;
}
