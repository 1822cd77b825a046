import { execFileSync } from 'node:child_process';
import { ensureBinaries, ensureImages } from '../../src/sandbox/artifacts/ensure.ts';
import type { ImageName } from '../../src/sandbox/versions.ts';
import type { Reporter } from '../../src/ui/reporter.ts';
import { listedImages, planImages, type SuiteImages } from './images.ts';
import { officialReachable, pullImages } from './official-images.ts';
import { parseSpecs, type Spec } from './specs.ts';
import type { SuiteOptions } from './suite.ts';

/** Where the suite's images come from; `auto`: official ones where their registry answers. */
export const imageSources = ['auto', 'built', 'official'] as const;
export type ImageSource = (typeof imageSources)[number];

export interface Suite extends SuiteImages {
  programs: SuiteOptions['programs'] & { crane: string };
  /** Every conformance spec of this version. */
  specs: Spec[];
}

/** The suite of a Kubernetes version: its programs and images, built or pulled where the cache does not have them. */
export async function buildSuite(kubernetesVersion: string, source: ImageSource, reporter: Reporter): Promise<Suite> {
  const programs = await ensureBinaries(['e2e.test', 'ginkgo', 'kubectl', 'crane'], { kubernetesVersion }, reporter);
  const ask = (flag: string) => execFileSync(programs['e2e.test'], [flag], { encoding: 'utf8', maxBuffer: 64 << 20 });
  const listing = ask('--list-images');
  const official = source === 'official' || (source === 'auto' && (await officialReachable()));
  const images = official
    ? await pullImages(programs.crane, listedImages(listing), reporter)
    : await makeImages(listing, kubernetesVersion, reporter);
  return { programs, specs: parseSpecs(ask('--list-conformance-tests')), ...images };
}

async function makeImages(listing: string, kubernetesVersion: string, reporter: Reporter): Promise<SuiteImages> {
  const { references, missing } = planImages(listing);
  const names = Object.keys(references) as ImageName[];
  const archives = await ensureImages(names, { kubernetesVersion, references }, reporter);
  const images = names.flatMap((name, index) =>
    references[name]!.map((reference) => ({ reference, archive: archives[index]! })),
  );
  return { images, missing };
}
