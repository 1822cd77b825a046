import type { ClusterSpec } from '../../config/schema.ts';
import { tryImages } from '../../live/image-trial.ts';
import type { HeldPlane } from '../../live/with-plane.ts';
import { renderPlane } from '../../plane/render.ts';
import type { Replacement } from '../../rollout/replacements.ts';
import { isNotEtcd } from './steps.ts';

/** Lets every new image run once, before anything is touched. @throws UserError `image-trial` */
export async function tryNewImages(plane: HeldPlane, target: ClusterSpec, replaced: Replacement[]): Promise<void> {
  const { cluster, reporter, timeout, signal } = plane.held;
  const { workloads } = renderPlane({ ...plane, spec: target });
  const changed = replaced.map(({ component }) => workloads[component]).filter(isNotEtcd);
  const versions = await reporter.during(`Trying the images of ${target.kubernetesVersion}`, () =>
    tryImages(cluster, changed, { timeout, signal }),
  );
  for (const [component, version] of versions) {
    if (version === undefined)
      reporter.warn(`the quota has no room to try the image of ${component} beforehand; it is found out on the way`);
    else reporter.debug(`${component}: ${version}`);
  }
}
