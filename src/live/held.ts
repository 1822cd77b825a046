import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { Work } from '../ui/work.ts';

declare const byLock: unique symbol;

/**
 * A namespace whose lock this run holds, and the work on it. Only withLock makes one, so a function that takes a Held cannot
 * be called without the lock. `signal` fires when the work is to end, and when another run has taken the lock over.
 */
export interface Held extends Work {
  readonly cluster: InfraCluster;
  readonly [byLock]: true;
}
