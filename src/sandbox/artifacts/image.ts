import type { BinaryName } from './recipes.ts';
import type { Rootfs } from './rootfs.ts';

/** How an image is made. */
export interface Image {
  /** Programs of the cache that go in. */
  binaries: BinaryName[];
  /** Programs of the box that go in, each with what belongs to it. */
  box?: string[];
  /** Hash of what else goes in and changes from one build of this repository to the next: no older archive is kept. */
  contents?: () => string;
  entrypoint?: string[];
  command?: string[];
  user?: string;
  fill: (binary: (name: BinaryName) => string) => Promise<Rootfs>;
}
