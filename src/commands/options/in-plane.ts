import type { HostedCluster } from '../../kube/hosted-cluster.ts';
import { inHostedCluster, type Plane } from '../../live/open.ts';
import { type ConnectionOptions, withInfra } from './connection.ts';

/** Opens the infra cluster, the plane of its namespace and the hosted cluster for `work`, and closes them in the end. */
export async function inPlane(
  options: ConnectionOptions,
  work: (plane: Plane, hosted: HostedCluster) => Promise<void>,
): Promise<void> {
  await withInfra(options, async (cluster) => {
    await inHostedCluster(cluster, work);
  });
}
