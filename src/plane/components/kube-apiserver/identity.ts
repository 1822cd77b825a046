import { dump } from 'js-yaml';
import { type OpeningsFile, openingOf } from '../../../base/openings.ts';
import { authenticatorsOf, discoveryOf } from '../../../config/identity.ts';
import type { ClusterSpec } from '../../../config/schema.ts';
import { render } from '../../../manifests/render.ts';
import type { ComponentSecret } from '../component.ts';
import authentication from './authentication.yaml';

/*
 * Who gets in, and by whose word: files that the API server and its gate read again while they run, so that no pod is replaced for
 * them. They lie in a Secret of their own, which is changed in place (docs/adr/0048-outside-identity.md).
 */

export const identityName = 'kube-apiserver-identity';

/** Files of that Secret. */
export const authenticationFile = 'authentication.yaml';
const openingsFile = 'openings.json';

export function identitySecret(): ComponentSecret {
  return {
    name: identityName,
    holds: () => false,
    trusted: [],
    files: (_, { spec }) => ({
      [authenticationFile]: authenticationText(spec),
      [openingsFile]: JSON.stringify(openingsOf(spec)),
    }),
  };
}

/** The one AuthenticationConfiguration of the API server. Pure. */
export function authenticationText(spec: ClusterSpec): string {
  const [own] = render(authentication, {}, 'kube-apiserver/authentication.yaml');
  const jwt = authenticatorsOf(spec);
  return dump({ ...own, ...(jwt.length > 0 && { jwt }) }, { noRefs: true, lineWidth: -1 });
}

/** What the gate lets through although it may be in a private network. Pure. */
export function openingsOf(spec: ClusterSpec): OpeningsFile {
  const issuers = authenticatorsOf(spec);
  const urls = issuers.flatMap((each) => [each.issuer.url, discoveryOf(each)]);
  return {
    open: [...new Set(urls.map((url) => openingOf(new URL(url).hostname, Number(new URL(url).port || 443))))],
    discovery: issuers.map((each) => ({ url: discoveryOf(each), ca: each.issuer.certificateAuthority })),
  };
}
