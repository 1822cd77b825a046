import { loadAll } from 'js-yaml';
import type { ClusterSpec } from '../../../config/schema.ts';
import type { KubeObject } from '../../../kube/objects.ts';
import type { NetworkDriver } from '../driver.ts';

/** A network of somebody else's: the objects of --network-manifest, as they are. */
export const manifest: NetworkDriver = {
  objects: (spec) => objectsOf(spec),
  images: ({ networkManifest = '' }) =>
    [...networkManifest.matchAll(/^[ -]*image: *['"]?([^\s'"#]+)/gm)].map(([, image]) => image!),
  replacesKubeProxy: false,
  worker: '',
  reach: () => [],
  notSupported: [],
};

/** The objects of the file, those of a List one by one. Pure. */
export function objectsOf({ networkManifest = '' }: Pick<ClusterSpec, 'networkManifest'>): KubeObject[] {
  const documents = loadAll(networkManifest).filter((each) => each !== null && each !== undefined) as KubeObject[];
  return documents.flatMap((each) =>
    each.kind === 'List' ? (each as unknown as { items: KubeObject[] }).items : each,
  );
}
