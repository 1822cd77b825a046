import { imagesOf, pauseImage } from '../config/images.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { wantedBeside } from './beside/lookup.ts';
import { byComponent } from './components/lookup.ts';
import { driverOf } from './networks/table.ts';

/** An image that a hosted cluster of some spec needs. */
export interface NeededImage {
  image: string;
  /** Who pulls it: the infra cluster's nodes, or the workers of the hosted cluster. */
  pulledBy: 'infra' | 'workers';
}

/** Every image of a plane and of what k8sk8s runs in its hosted cluster, for whoever fills a registry. Pure. */
export function allImages(spec: ClusterSpec): NeededImage[] {
  const images = imagesOf(spec);
  const driver = driverOf(spec);
  const konnectivity = spec.egress === 'konnectivity';
  const infra = [
    ...Object.values(byComponent(({ image }) => image(spec))),
    // Beside the API server, and in the Jobs of backups.
    images.node,
    ...(konnectivity ? [images.konnectivityServer] : []),
    ...wantedBeside(spec).map(({ image }) => image(spec)),
  ];
  const workers = [
    images.node,
    ...(konnectivity ? [images.konnectivityAgent] : []),
    ...(spec.childAssets ? [images.coredns] : []),
    ...(spec.childAssets && !driver.replacesKubeProxy ? [images.kubeProxy] : []),
    ...driver.images(spec),
    // That of machines is in the configuration of their containerd.
    pauseImage(spec),
  ];
  const each = (list: string[], pulledBy: NeededImage['pulledBy']) =>
    [...new Set(list)].sort().map((image) => ({ image, pulledBy }));
  return [...each(infra, 'infra'), ...each(workers, 'workers')];
}
