import { UserError } from '../../base/errors.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { buildAddons } from '../../hosted/addons/addons.ts';
import { refuseUnadmitted } from '../../hosted/admission.ts';
import { applyAddons } from '../../hosted/apply.ts';
import { hostedPullSecret } from '../../hosted/pull-secret.ts';
import type { KubeObject, Workload } from '../../kube/objects.ts';
import { nothingApplied } from '../../live/apply.ts';
import { waitFor } from '../../ui/wait-for.ts';
import { mark } from './mark.ts';
import type { UpgradeState } from './state.ts';

/**
 * Gives the workers the addons of a spec's version, and waits for those that run on every worker.
 *
 * @param readyWorkers pods that have to be ready of each: workers that were away before must not hold the others up
 * @throws UserError `not-available` when the pods of an addon do not become ready in time
 */
export async function replaceAddons(state: UpgradeState, spec: ClusterSpec, readyWorkers: number): Promise<void> {
  const { hosted, plane } = state;
  const addons = await addonsOf(state, spec);
  const onWorkers = addons.filter(({ kind }) => kind === 'DaemonSet');
  const before = await Promise.all(onWorkers.map((addon) => readyPods(state, addon)));
  await applyAddons(hosted, addons, nothingApplied(), plane.held);
  for (const [index, addon] of onWorkers.entries())
    await untilReplaced(state, addon, Math.min(readyWorkers, before[index] ?? readyWorkers));
}

/** Before anything is replaced: the rules of the hosted cluster's users would let the upgrade pass. @throws UserError */
export async function refuseRefusedAddons(state: UpgradeState): Promise<void> {
  const { hosted, plane, target } = state;
  await refuseUnadmitted(hosted, [mark, ...(await addonsOf(state, target))], plane.held.signal);
}

async function addonsOf({ plane }: Pick<UpgradeState, 'plane'>, spec: ClusterSpec): Promise<KubeObject[]> {
  const secret = await hostedPullSecret(plane.held.cluster, spec);
  return [...secret, ...buildAddons(spec, plane.addresses, plane.bundle.authorities)];
}

/** A Node that says it is Ready and runs no pods is not waited for. @returns undefined where the addon is new */
async function readyPods({ hosted }: UpgradeState, addon: KubeObject): Promise<number | undefined> {
  const now = await hosted.get<Workload>(addon, addon.metadata.name, addon.metadata.namespace);
  return now && (now.status?.numberReady ?? 0);
}

async function untilReplaced({ hosted, plane }: UpgradeState, addon: KubeObject, readyWorkers: number): Promise<void> {
  const { name, namespace } = addon.metadata;
  const { timeout, signal } = plane.held;
  let seen = '';
  await waitFor({
    until: async () => {
      const { metadata, status = {} } = (await hosted.get<Workload>(addon, name, namespace))!;
      const { observedGeneration, updatedNumberScheduled = 0, desiredNumberScheduled = 0, numberReady = 0 } = status;
      seen = `${updatedNumberScheduled} of ${desiredNumberScheduled} are of the new version, ${numberReady} ready`;
      const enough = Math.min(readyWorkers, desiredNumberScheduled);
      return observedGeneration === metadata.generation && updatedNumberScheduled >= enough && numberReady >= enough;
    },
    timeout,
    signal,
    every: 500,
    late: (after) =>
      new UserError({
        what: `the pods of ${name} on the workers did not become ready within ${after}`,
        why: seen,
        fix: `look at: kubectl -n ${namespace} describe pods -l k8s-app=${name}, in the hosted cluster`,
        anchor: 'not-available',
      }),
  });
}
