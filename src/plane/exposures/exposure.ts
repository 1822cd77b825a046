import type { ExposureName } from '../../config/exposure.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import type { KubeObject } from '../../kube/objects.ts';
import type { PlaneKind } from '../components/component.ts';

/**
 * A way by which people and workers reach the API server at HOST: everything that is said about it and about nothing else. Its
 * folder holds this and its template; the table in table.ts lists all of them. Pure, as all of plane/.
 */
export interface Exposure<Name extends ExposureName = ExposureName> {
  name: Name;
  /** What HOST has to lead to, for messages; undefined where it need not lead anywhere outside of the infra cluster. */
  leadsTo: string | undefined;
  /** The plane keeps answering at its address after a change to `next`. Left out: where both are routed by name. */
  outlives?(before: ClusterSpec, next: ClusterSpec): boolean;
  /** Kinds of its objects. */
  kinds?: PlaneKind[];
  /** Rights that its objects need beside those on their kinds. */
  rights?: { group: string; resource: string; verbs: string[] }[];
  /** Its objects beside the service, labels aside. @param hosts every name at which the plane answers, HOST first */
  objects?(spec: ClusterSpec, hosts: string[]): KubeObject[];
  /** The service has to be of this type. */
  serviceType?: 'NodePort' | 'LoadBalancer';
  /** What the controller says in the status of one of its objects; left out where such objects have no status. */
  judge?(object: KubeObject): Verdict;
}

/** `waiting`: no controller has said anything yet. */
export type Verdict = { state: 'waiting' } | { state: 'taken' } | { state: 'refused'; why: string };

/** A condition of a status, as Kubernetes' conventions have it. */
export interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  /** Generation of the object that it is about. */
  observedGeneration?: number;
}

/** What several controllers say of one object: one that takes it is enough. Pure. @param needed types of condition */
export function verdictOf(reports: Condition[][], needed: string[]): Verdict {
  const judged = reports.map((conditions) => {
    const refused = conditions.find(({ type, status }) => needed.includes(type) && status === 'False');
    if (refused)
      return { state: 'refused', why: [refused.reason, refused.message].filter(Boolean).join(': ') } as const;
    const isTaken = needed.every((type) => conditions.some((each) => each.type === type && each.status === 'True'));
    return { state: isTaken ? 'taken' : 'waiting' } as const;
  });
  return (
    judged.find(({ state }) => state === 'taken') ??
    judged.find(({ state }) => state === 'refused') ?? { state: 'waiting' }
  );
}
