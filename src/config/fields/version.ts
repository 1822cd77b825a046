import * as z from 'zod';
import { version } from '../values/programs.ts';
import { knownMinors, newest } from '../versions.ts';
import { flag } from './flag.ts';

/** Which Kubernetes the hosted cluster is, and how much it may take. */
export const versionFields = {
  kubernetesVersion: version.default(newest.patch).meta(
    flag({
      group: 'Hosted cluster',
      flag: 'kubernetes-version',
      arg: 'VERSION',
      help: `${knownMinors.map((known) => known.minor).join(', ')} or a full version`,
    }),
  ),
  profile: z
    .enum(['default', 'lite'])
    .default('default')
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'profile',
        arg: 'NAME',
        help: 'default, or lite: less memory and processor time when idle, slower with many reads',
      }),
    ),
  allowUntestedVersion: z
    .boolean()
    .default(false)
    .meta(
      flag({
        group: 'Hosted cluster',
        flag: 'allow-untested-version',
        help: 'allow a version that was not tested with k8sk8s, alphas included',
      }),
    ),
};
