import { isDeepStrictEqual } from 'node:util';
import type { FilesResult } from '../../access/files.ts';
import { UserError } from '../../base/errors.ts';
import { again, command, words } from '../../base/words.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { presentMembers } from '../../etcd/members.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import { type Applied, applyAll, Existing, nothingApplied } from '../../live/apply.ts';
import { refuseOthersPlane } from '../../live/followed.ts';
import type { Held } from '../../live/held.ts';
import { type Lifetime, lifetimeOf, readLifetimeJob } from '../../live/lifetime.ts';
import { readRecord } from '../../live/record.ts';
import { withLock } from '../../live/with-plane.ts';
import type { Addresses } from '../../plane/addresses.ts';
import { isBalanced } from '../../plane/components/kube-apiserver/service.ts';
import { type PreflightFacts, runPreflight } from '../../preflight/deploy-checks.ts';
import type { PlaneInMaking } from '../../rollout/control-plane.ts';
import { untilBalanced } from '../../rollout/load-balancer.ts';
import type { Replacement } from '../../rollout/replacements.ts';
import { runSteps, type StepTime } from '../../rollout/steps.ts';
import type { Work } from '../../ui/work.ts';
import { settleLifetime, type WantedLifetime } from './lifetime.ts';
import { chooseSpecFor, type SpecChoice } from './spec-choice.ts';
import type { DeployState } from './state.ts';
import { deploySteps } from './steps.ts';
import { goBack, specBefore } from './way-back.ts';

export interface DeployOptions extends Pick<PlaneInMaking, 'allowDataLoss'> {
  /** When the plane is to end by itself, or that it is not to; left out: as it is. */
  lifetime?: WantedLifetime;
  /** Whether the spec that is chosen is that of the record. */
  asRecorded?: true;
  /** Where the kubeconfigs go; none for an operator, which has no disk. */
  files?: { dir: string; force: boolean };
  /** The kubeconfig that the spec's authorizationWebhook names by its content. */
  webhookKubeconfig?: string;
  /** Where the default roles of a version are kept for the next new plane (docs/adr/0027-bootstrap-policy.md); none: nowhere. */
  cacheFolder?: string;
}

export interface HeldDeployRequest extends DeployOptions, Pick<PlaneInMaking, 'restores'>, PreflightFacts {
  spec: ClusterSpec;
}

export interface DeployResult {
  planeId: string;
  addresses: Addresses;
  serverVersion: string;
  /** Present where the plane ends by itself. */
  lifetime?: Lifetime;
  /** Objects of the namespace and of the hosted cluster. */
  applied: Applied;
  /** Pods that were replaced, and why. */
  replaced: Replacement[];
  issuedCertificates: string[];
  files?: FilesResult;
  /** When each step ran. */
  steps: StepTime[];
}

/**
 * Makes, or mends, the hosted cluster that `spec` describes in the cluster's namespace. Every step is an ensure: killed
 * anywhere and run again it goes on with the same authorities and the same objects; on a healthy plane it changes nothing.
 *
 * @throws UserError when something is wrong that the person can do something about
 */
export async function deploy(
  cluster: InfraCluster,
  { choose, ...request }: DeployOptions & Work & { choose: SpecChoice },
): Promise<DeployResult> {
  await refuseOthersPlane(cluster, 'deploy');
  const before = await chooseSpecFor(cluster, choose);
  const learnt = await runPreflight(cluster, before.spec, request.reporter, { asRecorded: request.asRecorded });
  return withLock(cluster, 'deploy', request, async (locked) => {
    const { allowDataLoss, files, cacheFolder, webhookKubeconfig } = request;
    const options = { allowDataLoss, files, cacheFolder, webhookKubeconfig };
    const held = await settleLifetime(locked, request.lifetime, before.spec);
    const recorded = await readRecord(cluster);
    if (isDeepStrictEqual(recorded, before.recorded))
      return deployHeld(held, { spec: before.spec, ...options, ...learnt });
    held.reporter.line('The plane was changed by another command meanwhile: it is looked at again');
    const spec = choose(recorded);
    const learntAgain = await runPreflight(cluster, spec, held.reporter, { asRecorded: request.asRecorded });
    return deployHeld(held, { spec, ...options, ...learntAgain });
  });
}

/** deploy in a namespace whose lock is held, after preflight. The spec is as the record under the lock lets it be. */
export async function deployHeld(held: Held, options: HeldDeployRequest): Promise<DeployResult> {
  const { cluster, reporter } = held;
  const applied = nothingApplied();
  const existing = await Existing.read(cluster);
  // The steps make the rest.
  const state: DeployState = {
    ...options,
    held,
    cluster,
    existing,
    applied,
    members: Math.max(presentMembers(existing), options.spec.etcdMembers),
    apply: (objects) => applyAll(cluster, state.record.planeId, objects, state.existing, applied, reporter),
    settle: async (services, spec) =>
      isBalanced(spec) ? untilBalanced(cluster, spec, services, isReachedOtherwise(state), held) : services,
    answered: new AbortController(),
  } as DeployState;
  const steps: StepTime[] = [];
  try {
    await runSteps(deploySteps, state, held.signal, steps);
    const { record, addresses, serverVersion, issued, written } = state;
    return {
      planeId: record.planeId,
      addresses,
      serverVersion,
      lifetime: cluster.owner && lifetimeOf(await readLifetimeJob(cluster)),
      applied,
      replaced: state.replaced ?? [],
      issuedCertificates: issued,
      files: written,
      steps,
    };
  } catch (error) {
    const failed = error instanceof UserError && error.kind === 'failed' && !held.signal.aborted;
    const before = failed && specBefore(state, steps.at(-1)?.name);
    if (before) throw await goBack(state, before, error);
    sayWhatExists(state);
    throw error;
  } finally {
    state.watch?.close();
    await state.hosted?.close();
  }
}

/** A way by another thing than a load balancer leads to the plane, as long as this deploy has not taken it away. */
function isReachedOtherwise({ record, asleep }: DeployState): boolean {
  return record.phase === 'available' && !asleep && record.spec.expose !== 'loadbalancer';
}

/** Never a silent half cluster: says what is there and how to go on, and how to undo what was never a plane that works. */
function sayWhatExists({ applied, cluster, record, restores, held: { reporter } }: DeployState): void {
  if (applied.created.length + applied.changed.length === 0) return;
  const count = applied.created.length + applied.changed.length + applied.unchanged.length;
  reporter.warn(
    `not finished. ${count} objects of the plane exist in namespace "${cluster.namespace}" (${applied.created.length} made by this run).`,
  );
  const undo = words` To undo: ${command('destroy', cluster.namespace)}`;
  const holdsData = record?.phase === 'available' || restores !== undefined;
  reporter.warn(words`To go on: ${again}.${holdsData ? '' : undo}`);
}
