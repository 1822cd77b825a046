import { workerMove } from '../../access/worker-config.ts';
import { UserError } from '../../base/errors.ts';
import { option, words } from '../../base/words.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { specRecorded } from '../../plane/record.ts';
import { workersOf } from './move.ts';
import type { DeployState } from './state.ts';

/** With --in-cluster loopback pods dial a relay on their own worker, at an address and port that this worker has to be told. Pure. */
export function relayChanges(before: ClusterSpec, after: ClusterSpec): boolean {
  if (after.inCluster !== 'loopback') return false;
  const where = ({ inCluster, loopbackAddress, nodePort, tunnelHost }: ClusterSpec) =>
    [inCluster, loopbackAddress, nodePort, tunnelHost].join();
  return where(before) !== where(after);
}

/**
 * Announces a change after which pods reach the API by a relay that their worker does not have yet, and allows it with consent. A
 * plane without workers has nobody to lock out.
 *
 * @throws UserError `relays-missing`
 */
export async function announceRelays(state: DeployState): Promise<void> {
  const { record, spec, held, allowDataLoss, files } = state;
  const before = specRecorded(record);
  if (!relayChanges(before, spec)) return;
  const workers = await workersOf(state);
  if (workers?.length === 0) return;
  const who = workers?.join(', ') ?? 'workers, which cannot be listed at the moment';
  const told = words`after this change pods dial ${spec.loopbackAddress} on their own worker, where a relay has to listen. ${who}: until worker.sh configure has run there, pods do not reach the API; kubelets and people do. ${workerMove(files?.dir ?? 'tls').join(' ')}`;
  if (!allowDataLoss)
    throw new UserError({
      what: 'pods on the workers would not reach the API server until each worker has its relay',
      why: told,
      fix: words`add ${option('yes')} to make the change, and visit the workers at once; or leave those options as they were. Nothing was changed`,
      anchor: 'relays-missing',
      kind: 'refused',
    });
  held.reporter.warn(told);
}
