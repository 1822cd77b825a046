import { explainCallError, isForbidden } from '../kube/errors.ts';
import type { Lease } from '../kube/objects.ts';
import type { WholeCluster } from '../kube/whole-cluster.ts';
import { type PolicyReview, reviewPolicies } from './beyond-policy.ts';
import { operatorName } from './names.ts';
import { type Condition, type HostedControlPlane, kind } from './object.ts';

export interface OperatorStatus {
  /** The operator that holds the lease now. */
  leader?: string;
  planes: {
    namespace: string;
    host: string;
    version?: string;
    /** Statuses of the condition, `Unknown` where there is none. */
    available: string;
    degraded: string;
    /** Its reason. */
    progressing: string;
    /** Of Degraded. */
    message: string;
    /** When it falls asleep if nobody uses it before. */
    sleepsAt?: string;
  }[];
  /** What today's policies would refuse; absent where the caller may not list bindings of roles. */
  policies?: PolicyReview;
}

/** Of all planes that have an object. @throws UserError `rights` */
export async function operatorStatus(cluster: WholeCluster, namespace: string): Promise<OperatorStatus> {
  const explain = (doing: string) => (error: unknown) => {
    throw explainCallError(error, doing);
  };
  const [lease, { items }] = await Promise.all([
    cluster
      .get<Lease>({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' }, operatorName, namespace)
      .catch(explain(`read the lease "${operatorName}" of namespace "${namespace}"`)),
    cluster.list<HostedControlPlane>(kind).catch(explain('list HostedControlPlanes')),
  ]);
  return { leader: holderOf(lease), planes: items.map(rowOf), policies: await policiesOf(cluster, items) };
}

async function policiesOf(cluster: WholeCluster, items: HostedControlPlane[]): Promise<PolicyReview | undefined> {
  try {
    return await reviewPolicies(cluster, items);
  } catch (error) {
    if (isForbidden(error)) return undefined;
    throw explainCallError(error, 'try what the policies say of each HostedControlPlane');
  }
}

function holderOf(lease: Lease | undefined): string | undefined {
  const { holderIdentity, renewTime, leaseDurationSeconds = 15 } = lease?.spec ?? {};
  if (!holderIdentity || !renewTime) return undefined;
  return Date.now() - Date.parse(renewTime) < leaseDurationSeconds * 1000 ? holderIdentity : undefined;
}

function rowOf({ metadata, spec, status }: HostedControlPlane): OperatorStatus['planes'][number] {
  const of = (type: Condition['type']) => status?.conditions?.find((each) => each.type === type);
  return {
    namespace: metadata.namespace!,
    host: spec.host ?? '',
    version: status?.version,
    available: of('Available')?.status ?? 'Unknown',
    degraded: of('Degraded')?.status ?? 'Unknown',
    progressing: of('Progressing')?.reason ?? '',
    message: of('Degraded')?.message ?? '',
    ...(status?.sleepsAt && { sleepsAt: status.sleepsAt }),
  };
}
