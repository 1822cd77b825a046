import { execFileSync } from 'node:child_process';
import { ensureBinaries, ensureImages } from '../sandbox/artifacts/ensure.ts';
import type { ImageName } from '../sandbox/versions.ts';
import type { Reporter } from '../src/ui/reporter.ts';
import { planImages } from './images.ts';
import { parseSpecs, type Spec } from './specs.ts';
import type { SuiteOptions } from './suite.ts';

export interface Suite {
  programs: SuiteOptions['programs'];
  /** Every conformance spec of this version. */
  specs: Spec[];
  /** Archives of the images that could be made. */
  archives: string[];
  /** References of those that could not. */
  missing: string[];
}

/** The suite of a Kubernetes version: programs and images, built where the cache has them not. */
export async function buildSuite(kubernetesVersion: string, reporter: Reporter): Promise<Suite> {
  const cached = { kubernetesVersion };
  const programs = await ensureBinaries(['e2e.test', 'ginkgo', 'kubectl'], cached, reporter);
  const ask = (flag: string) => execFileSync(programs['e2e.test'], [flag], { encoding: 'utf8', maxBuffer: 64 << 20 });
  const { references, missing } = planImages(ask('--list-images'));
  const archives = await ensureImages(Object.keys(references) as ImageName[], { ...cached, references }, reporter);
  return { programs, specs: parseSpecs(ask('--list-conformance-tests')), archives, missing };
}
