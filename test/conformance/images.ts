import type { References } from '../../src/sandbox/artifacts/images.ts';
import type { ImageName } from '../../src/sandbox/versions.ts';

/** Repositories of the suite's images that can be made here, with the recipe for each. */
const recipes: Record<string, ImageName> = {
  'registry.k8s.io/e2e-test-images/agnhost': 'agnhost',
  'registry.k8s.io/e2e-test-images/busybox': 'busybox-testing',
  'registry.k8s.io/e2e-test-images/glibc-dns-testing': 'glibc-dns-testing',
  'registry.k8s.io/e2e-test-images/kitten': 'kitten',
  'registry.k8s.io/e2e-test-images/nautilus': 'nautilus',
  'registry.k8s.io/e2e-test-images/nginx': 'nginx',
  'registry.k8s.io/e2e-test-images/nonewprivs': 'nonewprivs',
  'registry.k8s.io/e2e-test-images/nonroot': 'nonroot',
  'registry.k8s.io/e2e-test-images/sample-apiserver': 'sample-apiserver',
  'registry.k8s.io/etcd': 'etcd',
  'registry.k8s.io/pause': 'pause',
};

export interface SuiteImages {
  /** References as the suite's pods use them, each with an archive for `ctr images import`. */
  images: { reference: string; archive: string }[];
  /** References of images that cannot be made or pulled here. */
  missing: string[];
}

/** References of the images that a suite names: what `e2e.test --list-images` prints, a reference a line. */
export function listedImages(listing: string): string[] {
  return [...new Set(listing.split('\n').filter(Boolean))].sort();
}

/**
 * Which of the suite's images can be made, and which cannot.
 *
 * @param listing as for listedImages
 */
export function planImages(listing: string): { references: References; missing: string[] } {
  const references: Partial<Record<ImageName, string[]>> = {};
  const missing: string[] = [];
  for (const reference of listedImages(listing)) {
    const recipe = recipes[reference.slice(0, reference.lastIndexOf(':'))];
    if (recipe) references[recipe] = [...(references[recipe] ?? []), reference];
    else missing.push(reference);
  }
  return { references, missing };
}
