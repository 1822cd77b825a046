import { infraDiscoveryUrl } from '../base/infra-issuer.ts';
import type { Authenticator } from './api-server-files.ts';
import { authenticatorsOf, infraPrefix, rulesAgainst } from './identity.ts';
import type { ClusterSpec } from './schema.ts';

/*
 * Service accounts of the infra cluster as users of the hosted one (--trust-infra). Their names have a prefix: without it,
 * system:serviceaccount:kube-system:x of the infra cluster would be the hosted cluster's.
 */

/** All namespaces, in the place of their names. */
export const anyNamespace = '*';

/** A token that lives longer was made for nobody in particular. Seconds. */
const longestLife = 86_400;

/** Where the infra cluster's tokens come from, and what the hosted cluster's API server trusts there. */
export interface InfraIssuer {
  /** `iss` of its tokens. */
  url: string;
  /** PEM of the CA of what the gate shows. */
  certificateAuthority: string;
  /** Tokens have to be made for it: those of pods and of other planes do not count. */
  audience: string;
}

/** Whom a token has to be made for to count in one plane. Pure. */
export function infraAudience(planeId: string): string {
  return `k8sk8s.io/${planeId}`;
}

/** The name of a service account of the infra cluster in the hosted cluster's RBAC. Pure. */
export function infraUser(namespace: string, serviceAccount: string): string {
  return `${infraPrefix}system:serviceaccount:${namespace}:${serviceAccount}`;
}

/** Everybody from outside, the infra cluster's service accounts last. Pure. */
export function allAuthenticatorsOf(spec: ClusterSpec, infra: InfraIssuer | undefined): Authenticator[] {
  const trusts = spec.trustInfra.length > 0 && infra !== undefined;
  if (!trusts) return authenticatorsOf(spec);
  return [...authenticatorsOf(spec).map(withoutInfraNames), infraAuthenticator(spec.trustInfra, infra)];
}

/** An issuer whose names have no prefix could name somebody of the infra cluster. */
function withoutInfraNames({ userValidationRules = [], ...rest }: Authenticator): Authenticator {
  const message = () => `a name begins with ${infraPrefix}, which the infra cluster's service accounts have`;
  return { ...rest, userValidationRules: [...userValidationRules, ...rulesAgainst(infraPrefix, message)] };
}

/** Kubernetes' own claims: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#schema-for-service-account-private-claims */
function infraAuthenticator(namespaces: string[], { url, certificateAuthority, audience }: InfraIssuer): Authenticator {
  const own = "claims['kubernetes.io']";
  const list = namespaces.map((name) => JSON.stringify(name)).join(', ');
  const inNamespaces = namespaces.includes(anyNamespace)
    ? []
    : [
        {
          expression: `${own}.namespace in [${list}]`,
          message: 'the service account is of a namespace of the infra cluster that this cluster does not trust',
        },
      ];
  return {
    issuer: {
      url,
      discoveryURL: infraDiscoveryUrl,
      certificateAuthority,
      audiences: [audience],
      egressSelectorType: 'controlplane',
    },
    claimValidationRules: [
      ...inNamespaces,
      { expression: `claims.exp - claims.iat <= ${longestLife}`, message: 'the token is made for more than 24 hours' },
    ],
    claimMappings: {
      username: { claim: 'sub', prefix: infraPrefix },
      groups: {
        expression: `['${infraPrefix}system:serviceaccounts', '${infraPrefix}system:serviceaccounts:' + ${own}.namespace]`,
      },
      uid: { expression: `${own}.serviceaccount.uid` },
    },
  };
}
