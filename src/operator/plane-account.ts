import { InfraCluster } from '../kube/infra-cluster.ts';
import type { WholeCluster } from '../kube/whole-cluster.ts';
import type { Reporter } from '../ui/reporter.ts';
import type { Fact } from './conditions.ts';
import { accountOf } from './names.ts';
import { type HostedControlPlane, kind, lifeOf, type Status } from './object.ts';

/** What the operator needs to work on one plane. */
export interface ReconcileContext {
  /** As the operator itself; a plane's namespace is entered as its account. */
  whole: WholeCluster;
  hostedBy: 'address' | 'service';
  /** Name of this operator, for the plane's lock. */
  identity: string;
  reporter: Reporter;
  /** Milliseconds for each step. */
  timeout: number;
  /** Fires when the object is gone, or the operator ends. */
  signal: AbortSignal;
  /** Writes conditions, and fields of the status. */
  tell(facts: Fact[], fields?: Partial<Status>): Promise<void>;
  /** Lets the object wait for a last backup once it is deleted, or not. */
  hold(waits: boolean): Promise<void>;
}

/**
 * Bytes of one answer that are read at most: several workers read at once, and JSON in memory takes many times its length. A hosted API belongs
 * to whoever has the plane; the longest that is asked of it are its Nodes, of which a thousand take about that. In a plane's namespace
 * somebody may make objects without end; the longest there are the plane's Secrets, up to 22 MiB where they hold the data of an etcd.
 */
const longest = { hosted: 16 << 20, infra: 64 << 20 };

/** A plane's namespace, as its account. The caller closes it. */
export function asPlaneAccount(
  object: HostedControlPlane,
  { whole, hostedBy, identity }: ReconcileContext,
): InfraCluster {
  const namespace = object.metadata.namespace!;
  const { name, uid } = object.metadata;
  return new InfraCluster(whole.transport.as({ user: accountOf(namespace) }, longest.infra), namespace, {
    longestHosted: longest.hosted,
    hostedBy,
    actor: { name: identity },
    object: uid!,
    ...(lifeOf(object).deletionPolicy !== 'Retain' && { owner: { ...kind, name, uid: uid! } }),
  });
}
