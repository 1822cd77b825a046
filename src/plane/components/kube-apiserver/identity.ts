import { createHash } from 'node:crypto';
import { dump } from 'js-yaml';
import { type OpeningsFile, openingOf } from '../../../base/openings.ts';
import { authorizersOf } from '../../../config/authorization.ts';
import { authenticatorsOf, discoveryOf } from '../../../config/identity.ts';
import { allAuthenticatorsOf, type InfraIssuer, infraAudience } from '../../../config/infra-identity.ts';
import type { ClusterSpec } from '../../../config/schema.ts';
import type { Secret } from '../../../kube/objects.ts';
import { webhookServer } from '../../../kubeconfig/webhook.ts';
import { render } from '../../../manifests/render.ts';
import { trusted } from '../../../pki/authority.ts';
import type { PkiBundle } from '../../../pki/certificates.ts';
import type { ComponentSecret, SecretContext } from '../component.ts';
import authentication from './authentication.yaml';

/*
 * Who gets in, and by whose word: files that the API server and its gate read again while they run, so that no pod is replaced for
 * them. They lie in a Secret of their own, which is changed in place (docs/adr/0048-outside-identity.md).
 */

export const identityName = 'kube-apiserver-identity';

/** Files of that Secret. */
export const authenticationFile = 'authentication.yaml';
export const authorizationFile = 'authorization.yaml';
const openingsFile = 'openings.json';
const folder = '/etc/kubernetes/pki';

/** Named by its content: an API server that has read one AuthorizationConfiguration never finds another one's kubeconfig. */
function webhookFile(kubeconfig: string): string {
  return `${webhookName(kubeconfig)}.kubeconfig`;
}

/** The name of a kubeconfig in the spec, where a person gave a file. Pure. */
export function webhookName(kubeconfig: string): string {
  return `authorization-webhook-${createHash('sha256').update(kubeconfig).digest('hex').slice(0, 10)}`;
}

/** The kubeconfig that the files of the identity Secret have. Pure. */
export function webhookIn(files: Record<string, string>): string | undefined {
  return Object.entries(files).find(([name]) => /^authorization-webhook-.*\.kubeconfig$/.test(name))?.[1];
}

export function identitySecret(): ComponentSecret {
  return {
    name: identityName,
    holds: () => false,
    trusted: [],
    files: (bundle, context) => {
      const { spec } = context;
      const { webhook } = bundle;
      return {
        [authenticationFile]: authenticationText(spec, infraIssuerOf(bundle, context)),
        [authorizationFile]: authorizationText(spec, webhook),
        [openingsFile]: JSON.stringify(openingsOf(spec, webhook)),
        ...(webhook !== undefined && { [webhookFile(webhook)]: webhook }),
      };
    },
  };
}

/** The infra cluster's issuer as this plane's API server has to know it; undefined until it was learnt. Pure. */
export function infraIssuerOf(
  { authorities }: Pick<PkiBundle, 'authorities'>,
  { infraIssuer, planeId }: Pick<SecretContext, 'infraIssuer' | 'planeId'>,
): InfraIssuer | undefined {
  if (infraIssuer === undefined) return undefined;
  return { url: infraIssuer, certificateAuthority: trusted(authorities.ca!), audience: infraAudience(planeId) };
}

/** The one AuthenticationConfiguration of the API server. Pure. */
export function authenticationText(spec: ClusterSpec, infra?: InfraIssuer): string {
  const [own] = render(authentication, {}, 'kube-apiserver/authentication.yaml');
  const { anonymous } = own as unknown as { anonymous: { conditions: { path: string }[] } };
  if (spec.kubeadmTokenDiscovery) anonymous.conditions.push({ path: clusterInfoPath });
  const jwt = allAuthenticatorsOf(spec, infra);
  return dump({ ...own, ...(jwt.length > 0 && { jwt }) }, { noRefs: true, lineWidth: -1 });
}

/** What `kubeadm join --token` reads before it knows the CA. */
const clusterInfoPath = '/api/v1/namespaces/kube-public/configmaps/cluster-info';

/** An API server takes issuers over while it runs, and refuses a change of who is anonymous: that is read at its start. */
export function openForAnybody(secrets: Secret[]): Secret[] {
  return secrets
    .filter(
      ({ metadata, data }) =>
        metadata.name === identityName &&
        Buffer.from(data?.[authenticationFile] ?? '', 'base64')
          .toString()
          .includes(clusterInfoPath),
    )
    .map((secret) => ({ ...secret, data: { anonymous: clusterInfoPath } }));
}

/**
 * The AuthorizationConfiguration of the API server, which every plane begins with, so that webhooks can come later. Pure.
 *
 * @param webhook the kubeconfig by which webhooks are asked
 */
export function authorizationText(spec: ClusterSpec, webhook: string | undefined, at = folder): string {
  const configuration = {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthorizationConfiguration',
    authorizers: authorizersOf(spec, `${at}/${webhookFile(webhook ?? '')}`),
  };
  return dump(configuration, { noRefs: true, lineWidth: -1 });
}

/** What the gate lets through although it may be in a private network. Pure. */
export function openingsOf(spec: ClusterSpec, webhook?: string): OpeningsFile {
  const issuers = authenticatorsOf(spec);
  const urls = issuers.flatMap((each) => [each.issuer.url, discoveryOf(each)]);
  if (webhook !== undefined) urls.push(webhookServer(webhook));
  return {
    open: [...new Set(urls.map((url) => openingOf(new URL(url).hostname, Number(new URL(url).port || 443))))],
    discovery: issuers.map((each) => ({ url: discoveryOf(each), ca: each.issuer.certificateAuthority })),
  };
}
