import { mirrored } from '../config/images.ts';
import type { ClusterSpec } from '../config/schema.ts';
import { allImages } from './all-images.ts';

export interface ImageCopy {
  from: string;
  to: string;
}

/**
 * The images of a plane that a registry has to have before a plane of this spec is deployed from it; those that the spec names by
 * themselves come from where it says. Pure.
 *
 * @param registry as --image-registry has it
 */
export function copiesInto(registry: string, spec: ClusterSpec): ImageCopy[] {
  const names = (of: ClusterSpec) => [...new Set(allImages(of).map(({ image }) => image))];
  const there = names({ ...spec, imageRegistry: registry, registryMirrors: {} });
  return names({ ...spec, imageRegistry: undefined, registryMirrors: {} })
    .filter((image) => !there.includes(image))
    .map((from) => ({ from, to: mirrored({ imageRegistry: registry, registryMirrors: {} } as ClusterSpec, from) }));
}

/** A script for a shell that makes these copies, for a machine that reaches both registries. Pure. */
export function copyScript(copies: ImageCopy[]): string {
  return `#!/bin/sh
# Copies the images of a plane of k8sk8s by skopeo or crane, whichever is there. It may run again.
set -eu
if command -v skopeo >/dev/null 2>&1; then
  copy() { skopeo copy --all "docker://$1" "docker://$2"; }
elif command -v crane >/dev/null 2>&1; then
  copy() { crane copy "$1" "$2"; }
else
  echo "neither skopeo nor crane is here" >&2
  exit 1
fi
${copies.map(({ from, to }) => `copy ${from} ${to}\n`).join('')}`;
}
