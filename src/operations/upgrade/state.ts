import type { ClusterSpec } from '../../config/schema.ts';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import type { PodWatch } from '../../live/pod-watch.ts';
import type { HeldPlane } from '../../live/with-plane.ts';

/** What the steps of an upgrade, and of its way back, share. */
export interface UpgradeState {
  /** As it was before the upgrade, with the old spec. */
  readonly plane: HeldPlane;
  /** The spec with the new version. */
  readonly target: ClusterSpec;
  readonly hosted: HostedCluster;
  /** Milliseconds for which everything has to stay well at the end. */
  readonly observe: number;
  /** What the mark holds, which tells it from the mark of another upgrade. */
  readonly token: string;
  /** Workers that were Ready before the upgrade. */
  readonly readyWorkers: number;
  /** Whether the addons may be of the new version. */
  addonsTouched: boolean;
  /** Whether worker pods may be of the new version. */
  workerPodsTouched: boolean;
  /** The pods of the plane. */
  watch: PodWatch;
}
