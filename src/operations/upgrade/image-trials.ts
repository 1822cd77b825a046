import type { ClusterSpec } from '../../config/schema.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { KubeObject } from '../../kube/objects.ts';
import { Existing } from '../../live/apply.ts';
import { tryImages } from '../../live/image-trial.ts';
import type { HeldPlane } from '../../live/with-plane.ts';
import { renderPlane } from '../../plane/render.ts';
import { isNotEtcd } from './steps.ts';

/** Lets every new image run once, before anything is touched. @throws UserError `image-trial` */
export async function tryNewImages(plane: HeldPlane, target: ClusterSpec): Promise<void> {
  const { cluster, reporter, timeout, signal } = plane.held;
  const workloads = Object.values(renderPlane({ ...plane, spec: target }).workloads).filter(isNotEtcd);
  const changed = await changedOnServer(cluster, workloads);
  const versions = await reporter.during(`Trying the images of ${target.kubernetesVersion}`, () =>
    tryImages(cluster, changed, { timeout, signal }),
  );
  for (const [component, version] of versions) {
    if (version === undefined)
      reporter.warn(`the quota has no room to try the image of ${component} beforehand; it is found out on the way`);
    else reporter.debug(`${component}: ${version}`);
  }
}

/** Those that the server would replace pods for. */
async function changedOnServer(cluster: InfraCluster, workloads: KubeObject[]): Promise<KubeObject[]> {
  const existing = await Existing.read(cluster);
  const after = await Promise.all(workloads.map((workload) => cluster.apply(workload, { dryRun: true })));
  return workloads.filter(
    (workload, index) => existing.find(workload)?.metadata.generation !== after[index]!.metadata.generation,
  );
}
