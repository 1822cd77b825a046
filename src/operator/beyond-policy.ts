import type { Connection } from '../kube/connection.ts';
import { ApiError, isForbidden } from '../kube/errors.ts';
import type { KubeObject } from '../kube/objects.ts';
import { connectWhole, type WholeCluster } from '../kube/whole-cluster.ts';
import { tenantRole } from './names.ts';
import { type HostedControlPlane, kind } from './object.ts';

/** An object that nobody could apply today who has planes there by their objects alone. */
interface BeyondPolicy {
  namespace: string;
  /** What the infra cluster's API server says to the one who tries. */
  why: string;
}

export interface PolicyReview {
  beyond: BeyondPolicy[];
  /** Namespaces in which the caller could not try it. */
  untested: string[];
}

interface Binding extends KubeObject {
  roleRef: { kind: string; name: string };
  subjects?: Subject[];
}

interface Subject {
  kind: string;
  name: string;
  namespace?: string;
}

/**
 * Policies are asked when an object is written, and never again: what an older policy or definition let in stays. So each object is made
 * once more in a dry run, as each subject that has the tenants' role there. Only an object that all of them are refused counts; one that
 * an administrator wrote for them is among those too, and nothing in an object tells the two apart.
 *
 * The API server asks definition and policies before it finds that there is such an object already: 409 is a yes.
 *
 * @throws ApiError 403 where bindings may not be listed
 */
export async function reviewPolicies(cluster: WholeCluster, objects: HostedControlPlane[]): Promise<PolicyReview> {
  const tenants = await tenantsOf(cluster);
  const review: PolicyReview = { beyond: [], untested: [] };
  for (const object of objects) {
    const namespace = object.metadata.namespace!;
    const answers: Answer[] = [];
    for (const subject of tenants(namespace)) answers.push(await tryAs(cluster.transport.connection, subject, object));
    const refusals = answers.flatMap((answer) => (typeof answer === 'object' ? [answer.refused] : []));
    if (answers.includes('untested')) review.untested.push(namespace);
    else if (refusals.length > 0 && !answers.includes('taken')) review.beyond.push({ namespace, why: refusals[0]! });
  }
  return review;
}

/** Subjects with the tenants' role, by namespace. */
async function tenantsOf(cluster: WholeCluster): Promise<(namespace: string) => Subject[]> {
  const of = (kind: string) => cluster.list<Binding>({ apiVersion: 'rbac.authorization.k8s.io/v1', kind });
  const [bindings, everywhere] = await Promise.all([of('RoleBinding'), of('ClusterRoleBinding')]);
  const ours = ({ roleRef }: Binding) => roleRef.kind === 'ClusterRole' && roleRef.name === tenantRole;
  return (namespace) =>
    [...bindings.items.filter(({ metadata }) => metadata.namespace === namespace), ...everywhere.items]
      .filter(ours)
      .flatMap(({ subjects = [] }) => subjects);
}

type Answer = 'taken' | 'may-not-write' | 'untested' | { refused: string };

async function tryAs(connection: Connection, subject: Subject, object: HostedControlPlane): Promise<Answer> {
  const { name, namespace } = object.metadata;
  const cluster = connectWhole({ ...connection, impersonate: identityOf(subject) });
  try {
    await cluster.create({ ...kind, metadata: { name, namespace }, spec: object.spec } as KubeObject, { dryRun: true });
    return 'taken';
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 409) return 'taken';
    if (error.message.includes('cannot impersonate')) return 'untested';
    // RBAC is asked before policies, which name themselves.
    if (isForbidden(error) && !error.message.includes('ValidatingAdmissionPolicy')) return 'may-not-write';
    if (error.status < 400 || error.status >= 500) throw error;
    return { refused: error.message.replace(/^.* denied request: /s, '') };
  } finally {
    await cluster.close();
  }
}

/** As whom the API server takes requests of a subject of RBAC. Pure. */
function identityOf({ kind, name, namespace }: Subject): { user: string; groups: string[] } {
  if (kind === 'Group') return { user: 'k8sk8s:somebody', groups: [name] };
  if (kind !== 'ServiceAccount') return { user: name, groups: ['system:authenticated'] };
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
  return { user: `system:serviceaccount:${namespace}:${name}`, groups };
}
