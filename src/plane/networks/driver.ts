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
  /** What the workers pull for it. Pure. */
  images(spec: ClusterSpec): string[];
  /** Whether Services are its work as well, so that there is no kube-proxy. */
  replacesKubeProxy: boolean;
  /** What worker.sh looks for on a machine before it lets it join. */
  worker: 'flannel' | 'cilium' | 'none';
  /** What workers have to let through between each other, as `8472/udp (flannel vxlan)`. Pure. */
  reach(spec: ClusterSpec): string[];
  /** Rows of `network test` that it cannot pass. One of them that passes all the same is an error in this list. */
  notSupported: readonly TestRow[];
}
