import { UserError } from '../../base/errors.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { buildAddons } from '../../hosted/addons.ts';
import { applyAddons } from '../../hosted/apply.ts';
import { hostedPullSecret } from '../../hosted/pull-secret.ts';
import type { KubeObject, Workload } from '../../kube/objects.ts';
import { nothingApplied } from '../../live/apply.ts';
import { waitFor } from '../../ui/wait-for.ts';
import type { UpgradeState } from './state.ts';

/**
 * Gives the workers the addons of a spec's version, and waits for those that run on every worker.
 *
 * @param readyWorkers pods that have to be ready of each: workers that were away before must not hold the others up
 * @throws UserError `not-available` when the pods of an addon do not become ready in time
 */
export async function replaceAddons(state: UpgradeState, spec: ClusterSpec, readyWorkers: number): Promise<void> {
  const { hosted, plane } = state;
  const addons = buildAddons(spec, plane.addresses, plane.bundle.authorities);
  const secret = await hostedPullSecret(plane.held.cluster, spec);
  await applyAddons(hosted, [...secret, ...addons], nothingApplied(), plane.held);
  for (const addon of addons.filter(({ kind }) => kind === 'DaemonSet'))
    await untilReplaced(state, addon, readyWorkers);
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
