/** Where the operator runs, unless told otherwise. */
export const operatorNamespace = 'k8sk8s-system';

/** Of the operator's ServiceAccount, Lease, Deployment and roles. */
export const operatorName = 'k8sk8s-operator';

/** The ClusterRole of people who have a plane by its object alone. */
export const tenantRole = 'k8sk8s-tenant';

/** The ServiceAccount of a namespace as which the operator works there; its name is in the operator's ClusterRole. */
export const planeAccount = 'k8sk8s-plane';

/** User name of a namespace's account (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#service-account-tokens). */
export function accountOf(namespace: string): string {
  return `system:serviceaccount:${namespace}:${planeAccount}`;
}

/** Finalizer of a HostedControlPlane with the policy Backup: the object stays until the operator has made a last backup. */
export const backupFinalizer = 'k8sk8s.io/last-backup';

/** Annotation of a HostedControlPlane: with another value, which is a time by custom, the operator looks at the plane at once. */
export const lookAnnotation = 'k8sk8s.io/look';

/** Annotation of a HostedControlPlane: by `consentAsked`'s value its owner agrees to what the command line asks --yes for, once. */
export const consentAnnotation = 'k8sk8s.io/consent';

/** Annotation of a HostedControlPlane: a time, RFC 3339, at which the plane counts as used, also one to come; it wakes one that slept because nobody used it. */
export const usedAnnotation = 'k8sk8s.io/used';

/** Label of a Secret that says where backups go and who can open them: spec.backup.destination names one with it, and no other. */
export const destinationLabel = 'k8sk8s.io/backup-destination';
