import type { UserError } from '../../base/errors.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import type { KubeObject } from '../../kube/objects.ts';
import type { TestRow } from './test-rows.ts';

/** Where a driver's pods reach the hosted API: never by a Service, which may be the driver's own work. */
interface DriverSurroundings {
  apiHost: string;
  apiPort: string;
  /** Trusted certificates: pods read the cluster's CA only at their start, so a hash of what they run with includes it. */
  ca: string;
}

/**
 * What makes the network between pods of the hosted cluster. A driver is a folder beside this file, and a line in table.ts
 * (docs/adr/0055-network-drivers.md).
 */
export interface NetworkDriver {
  /** The objects of the hosted cluster, labelled and with pull secrets by whoever applies them. Pure. */
  objects(spec: ClusterSpec, surroundings: DriverSurroundings): KubeObject[];
  /** Why this build of k8sk8s cannot make its objects, where that may be. @returns undefined where it can */
  absent?(): UserError | undefined;
  /** What the workers pull for it. Pure. */
  images(spec: ClusterSpec): string[];
  /** Values of the label `k8s-app` of its pods on the workers, of which `status` tells where one does not run. */
  apps?: readonly string[];
  /** Whether Services are its work as well, so that there is no kube-proxy. */
  replacesKubeProxy: boolean;
  /**
   * Its part of worker.sh: shell functions in the place of those that src/access/worker.sh says below "What a network driver
   * needs of a machine"; empty where nothing is known of that.
   */
  worker: string;
  /** What it leaves on a machine that leaves the plane: network links and files, by patterns of the shell, and words of its iptables rules. */
  left?: { links: string[]; files: string[]; rules: string[] };
  /** What workers have to let through between each other, as `8472/udp (flannel vxlan)`. Pure. */
  reach(spec: ClusterSpec): string[];
  /** Rows of `network test` that it cannot pass. One of them that passes all the same is an error in this list. */
  notSupported: readonly TestRow[];
}
