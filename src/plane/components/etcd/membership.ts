/** etcd's members as their pods are told them. */
export interface Membership {
  /** Pods of the StatefulSet: etcd-0 and so on. */
  pods: number;
  /** Who forms, or has formed, the cluster, by the number of the pod. Read only by a member without data; none: it stops. */
  members: number[];
  /** The member without data is to join a cluster that is there, and not to form one. */
  joining: boolean;
}

/**
 * All members of a plane.
 *
 * @param formed whether they have formed their cluster. From then on one without data is told of no cluster, and stops:
 *   a majority of such members would form another, empty one beside the data of the rest. A single member has nobody
 *   beside it, and begins anew.
 */
export function settledMembership(count: number, formed: boolean): Membership {
  if (formed && count > 1) return { pods: count, members: [], joining: true };
  return { pods: count, members: Array.from({ length: count }, (_, member) => member), joining: false };
}
