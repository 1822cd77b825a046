/*
 * Names by which the API server reaches the infra cluster's issuer of service account tokens, with --trust-infra: the gate beside it
 * answers to them. `.internal` belongs to no public domain (https://www.iana.org/assignments/special-use-domain-names).
 */

export const infraIssuerHost = 'infra-issuer.k8sk8s.internal';

/** Paths that every Kubernetes API server has (https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery). */
export const discoveryPath = '/.well-known/openid-configuration';
export const keysPath = '/openid/v1/jwks';

/** What the discovery document is asked for, and where it says that the keys are. */
export const infraDiscoveryUrl = `https://${infraIssuerHost}${discoveryPath}`;
export const infraKeysUrl = `https://${infraIssuerHost}${keysPath}`;
