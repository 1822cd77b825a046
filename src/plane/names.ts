import { fieldManager } from '../kube/cluster.ts';
import type { KubeObject } from '../kube/objects.ts';

/** Name of the ConfigMap that records a plane and of the Lease that guards it. */
export const recordName = 'k8sk8s';

/**
 * Annotation of the record: UID of the HostedControlPlane that the plane follows; without it the plane is the command line's. It stands
 * outside of what is recorded, so a backup does not carry it to another namespace.
 */
export const objectAnnotation = 'k8sk8s.io/object';

/** Annotation of a namespace: the HOSTs that belong to it, for the policies of templates/rights/hosts.yaml. */
export const hostsAnnotation = 'k8sk8s.io/hosts';

/** The Job that owns a plane whose life ends by itself. */
export const lifetimeKind = { apiVersion: 'batch/v1', kind: 'Job' };
export const lifetimeName = 'k8sk8s-lifetime';

/** Name of the Secret with the plane's CAs and ServiceAccount keys: no pod mounts it but the controller-manager's, and of it only the signers. */
export const authoritiesSecret = 'k8sk8s-ca';

/** Namespaces of the infra cluster itself, in which no plane may be. */
export const reservedNamespaces = ['kube-system', 'kube-public', 'kube-node-lease'];

export const partOf = 'k8sk8s';
/** Selects everything of k8sk8s in a namespace, whichever plane it belongs to. */
export const anyPlaneSelector = `app.kubernetes.io/part-of=${partOf}`;

/** Selects one plane's objects and nothing else. */
export function planeSelector(planeId: string): string {
  return `${anyPlaneSelector},app.kubernetes.io/instance=${planeId}`;
}

/** What the pods of a component, or of the scheduled backups, are found by: immutable in its StatefulSet or Deployment. */
export function podSelector(planeId: string, component: string): Record<string, string> {
  return { 'app.kubernetes.io/name': component, 'app.kubernetes.io/instance': planeId };
}

/** The recommended labels (https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/). */
export function labelsOf(planeId: string, component: string, version: string): Record<string, string> {
  return {
    'app.kubernetes.io/name': component,
    'app.kubernetes.io/component': component === 'record' || component === 'certificates' ? component : 'control-plane',
    'app.kubernetes.io/instance': planeId,
    'app.kubernetes.io/version': version,
    'app.kubernetes.io/part-of': partOf,
    'app.kubernetes.io/managed-by': partOf,
  };
}

/**
 * Whether an object is the plane's: by its labels, or, where somebody took those off, by having been applied by k8sk8s
 * and carrying no other plane's identity.
 */
export function belongsTo(object: KubeObject, planeId: string): boolean {
  const labels = object.metadata.labels ?? {};
  const [owner, instance] = [labels['app.kubernetes.io/part-of'], labels['app.kubernetes.io/instance']];
  if (owner === partOf && instance === planeId) return true;
  const applied = object.metadata.managedFields?.some(
    ({ manager, operation }) => manager === fieldManager && operation === 'Apply',
  );
  return applied === true && (instance === undefined || instance === planeId);
}

/** Name of etcd's volume in its pods; the claims are called by it and the pod. */
export const dataVolume = 'data';

/** `data-etcd-0`. @param member number of the pod */
export function claimName(member: number): string {
  return `${dataVolume}-etcd-${member}`;
}
