import { isDeepStrictEqual } from 'node:util';
import { said, UserError } from '../../base/errors.ts';
import { again, command, words } from '../../base/words.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import type { Secret } from '../../kube/objects.ts';
import { applyAll, Existing, nothingApplied } from '../../live/apply.ts';
import { connectAsAdministrator } from '../../live/open.ts';
import { PodWatch } from '../../live/pod-watch.ts';
import { specRecorded } from '../../plane/record.ts';
import { renderPlane } from '../../plane/render.ts';
import { readBundle } from '../../plane/secrets.ts';
import { waitAvailable, waitComponentsReady } from '../../rollout/available.ts';
import { ensureControlPlane } from '../../rollout/control-plane.ts';
import { addressesStep, certificatesStep } from '../../rollout/prepare.ts';
import { identityIn, replicasOf, waitTakenOver } from '../../rollout/taken-over.ts';
import type { DeployState } from './state.ts';

/** Steps whose failure means that the plane does not work with the new options. */
const judging = ['control-plane', 'available', 'components-ready', 'reached-anew', 'identity'];

/**
 * The spec that the plane of a failed deploy goes back to: the recorded one, with which the plane was available.
 *
 * @param step the one that failed
 * @returns undefined where there is none: a plane that was never available or slept, a deploy that was to change nothing, a
 * change of etcd's members or storage, which goes on from where it is. Pure.
 */
export function specBefore(
  {
    record,
    asleep,
    restores,
    replaces,
    spec,
  }: Pick<DeployState, 'record' | 'asleep' | 'restores' | 'replaces' | 'spec'>,
  step: string | undefined,
): ClusterSpec | undefined {
  if (step === undefined || !judging.includes(step)) return undefined;
  if (record.phase !== 'available' || asleep || restores || replaces) return undefined;
  const before = specRecorded(record);
  const isSame = isDeepStrictEqual({ ...before, allowUntestedVersion: true }, { ...spec, allowUntestedVersion: true });
  return isSame || before.etcdMembers !== spec.etcdMembers ? undefined : before;
}

/**
 * Makes the plane as it was before the failed deploy, and verifies that. Its data and its CAs are not touched.
 *
 * @returns what to tell the person about the deploy
 * @throws UserError `rollback-failed`
 */
export async function goBack(failed: DeployState, before: ClusterSpec, cause: UserError): Promise<UserError> {
  const { cluster, held } = failed;
  const { reporter, timeout, signal } = held;
  const { namespace } = cluster;
  reporter.warn(words`${said(cause)}\nRolling the plane back`);
  const { planeId } = failed.record;
  const existing = await Existing.read(cluster);
  const watch = new PodWatch(cluster, planeId);
  const state: DeployState = {
    ...failed,
    spec: before,
    existing,
    keeps: undefined,
    watch,
    apply: (objects) => applyAll(cluster, planeId, objects, existing, nothingApplied(), reporter),
  };
  try {
    await addressesStep.run(state);
    // Another HOST has other names in the API server's certificate.
    await certificatesStep.run(state);
    // What the failed deploy stored in its place was another one.
    state.bundle = { ...state.bundle, webhook: readBundle(failed.existing.ofKind<Secret>('Secret'))?.webhook };
    const startClients = await ensureControlPlane(state);
    const hosted = await connectAsAdministrator(cluster, state.addresses, state.bundle);
    try {
      await reporter.during(
        'Waiting until the plane answers as before',
        (phase) => waitAvailable(hosted, watch, { timeout, phase, signal, onAnswer: startClients }),
        'The plane answers as before',
      );
    } finally {
      await hosted.close();
    }
    await waitComponentsReady(watch, timeout, signal);
    if (failed.changesIdentity) await waitAsBefore(state);
  } catch (error) {
    signal.throwIfAborted();
    return new UserError({
      what: 'the change did not work on this plane, and its rollback did not end',
      why: words`first: ${said(cause)}\nthen: ${said(error)}`,
      fix: words`the plane's data is unchanged: look at ${command('status', namespace)}, repair what it names, and run ${command('deploy', namespace)}, which goes on with the options that worked`,
      anchor: 'rollback-failed',
      cause: error,
    });
  } finally {
    watch.close();
  }
  return new UserError({
    what: 'the change did not work on this plane, which runs as before',
    why: said(cause),
    fix: words`correct what is named there, then ${again}; the plane was seen to answer, with its data and with the options that it had`,
    anchor: 'change-undone',
    cause,
  });
}

/** Of several API servers one may have taken over who gets in before another one did not. */
async function waitAsBefore({ cluster, record, spec, addresses, storage, bundle, held }: DeployState): Promise<void> {
  const { secrets } = renderPlane({ record, spec, addresses, storage, bundle });
  const replicas = replicasOf(cluster, record.planeId, bundle, addresses.advertised.port);
  await waitTakenOver(replicas, identityIn(secrets), held);
}
