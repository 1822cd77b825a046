import type { FilesResult } from '../../access/files.ts';
import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import type { PodWatch } from '../../live/pod-watch.ts';
import type { Asleep, PlaneRecord } from '../../plane/record.ts';
import type { RenderedPlane } from '../../plane/render.ts';
import type { PreflightFacts } from '../../preflight/deploy-checks.ts';
import type { PlaneInMaking } from '../../rollout/control-plane.ts';
import type { Preparation } from '../../rollout/prepare.ts';
import type { Replacement } from '../../rollout/replacements.ts';

/** What the steps of a deploy know and make. A field below the line is there once the step beside it has run. */
export interface DeployState extends Preparation, PlaneInMaking, Readonly<PreflightFacts> {
  /** Where the kubeconfigs go; none for an operator, which has no disk. */
  readonly files?: { dir: string; force: boolean };
  /** Where the default roles of a version are kept; none: nowhere. */
  readonly cacheFolder?: string;
  // ---
  /** record */
  record: PlaneRecord;
  /** record */
  starting: boolean;
  /** record: the plane slept, and this deploy wakes it. */
  asleep?: Asleep;
  /** record: no etcd of this plane ran before. */
  first: boolean;
  /** move-announced: HOST is another one than the API server that runs has in its certificate. */
  moved?: boolean;
  /** replacements-told: the plane as it is to be, with etcd's members at rest. */
  rendered: RenderedPlane;
  /** replacements-told */
  replaced: Replacement[];
  /** replacements-told: who gets in is to change, by files that API servers read again while they run. */
  changesIdentity: boolean;
  /** control-plane: what leads to the plane until the new way is seen to do so. */
  keeps?: PlaneInMaking['keeps'];
  /** control-plane */
  watch: PodWatch;
  /** control-plane: starts the API server's clients, once it answers. */
  startClients: () => Promise<void>;
  /** control-plane: the bootstrap policy is being written; ends when `answered` fires. */
  planted?: Promise<unknown>;
  answered: AbortController;
  /** available */
  hosted: HostedCluster;
  serverVersion: string;
  /** files */
  written?: FilesResult;
}
