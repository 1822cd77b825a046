import { UserError } from '../../base/errors.ts';
import { words } from '../../base/words.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { knownMinors, minorNumber, newest, resolveVersion } from '../../config/versions.ts';

/**
 * The full version of a machine's kubelet (`1.36.3` of `v1.36`), by which its packages are called. Pure.
 *
 * @throws UserError `bad-values` for what is no version, and for one that Kubernetes does not support with the plane's
 */
export function kubeletVersionOf(
  { kubernetesVersion }: Pick<ClusterSpec, 'kubernetesVersion'>,
  wanted: string,
): string {
  const version = resolveVersion(wanted);
  const fix = words`give a full version such as ${newest.patch}, or one of ${knownMinors.map(({ minor }) => minor).join(', ')}`;
  if (version === undefined)
    throw new UserError({
      what: words`"${wanted}" is no version of a kubelet that this k8sk8s knows`,
      fix,
      anchor: 'bad-values',
      kind: 'usage',
    });
  const behind = minorNumber(kubernetesVersion) - minorNumber(version);
  if (behind < 0 || behind > 3)
    throw new UserError({
      what: `a kubelet ${version} does not go with the API server ${kubernetesVersion} of this plane`,
      why: 'a kubelet may be up to three minors older than the API server, and never newer',
      fix,
      anchor: 'bad-values',
      kind: 'usage',
    });
  return version;
}
