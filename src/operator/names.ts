/** Where the operator runs, unless told otherwise. */
export const operatorNamespace = 'k8sk8s-system';

/** Of the operator's ServiceAccount, Lease, Deployment and roles. */
export const operatorName = 'k8sk8s-operator';

/** The ServiceAccount of a namespace as which the operator works there; its name is in the operator's ClusterRole. */
export const planeAccount = 'k8sk8s-plane';

/** User name of a namespace's account (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#service-account-tokens). */
export function accountOf(namespace: string): string {
  return `system:serviceaccount:${namespace}:${planeAccount}`;
}

/** Annotation of a HostedControlPlane: the generation for which its owner agrees to what the command line asks --yes for. */
export const consentAnnotation = 'k8sk8s.io/consent';
