import { knownMinors, newest, resolveVersion } from '../versions.ts';
import { checked, matches, matching } from './checked.ts';

/** A Kubernetes version that `resolveVersion` understands. */
export const version = checked(
  (value) =>
    resolveVersion(value)
      ? undefined
      : `is no Kubernetes version that this k8sk8s knows; known are ${knownMinors.map((known) => known.minor).join(', ')}, and full ones such as ${newest.patch}`,
  {
    maxLength: 32,
    rule: `${matches('^v?[0-9]+[.][0-9]+[.][0-9]+(-(alpha|beta|rc)[.][0-9]+)?$')} || self in [${knownMinors.map(({ minor }) => `'${minor}', 'v${minor}'`).join(', ')}]`,
    message: `has to be ${knownMinors.map(({ minor }) => minor).join(', ')}, or a full version such as ${newest.patch}`,
  },
);

export const image = checked(
  (value) =>
    /^[\w][\w.\-/:@]*$/.test(value) && !value.includes('//')
      ? undefined
      : 'is not an image reference such as registry.k8s.io/etcd:3.7.3-0',
  {
    maxLength: 512,
    rule: `${matches('^[A-Za-z0-9_][A-Za-z0-9_./:@-]*$')} && !self.contains('//')`,
    message: 'has to be an image reference such as registry.k8s.io/etcd:3.7.3-0',
  },
);

/** One more flag of a component: NAME=VALUE. */
export const argument = matching(
  /^(--)?[a-z0-9][a-z0-9-]*=/,
  'has to be NAME=VALUE, the name as the component spells it without the dashes',
  1024,
);
