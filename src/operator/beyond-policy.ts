import pLimit from 'p-limit';
import { messageOf } from '../base/errors.ts';
import type { Connection } from '../kube/connection.ts';
import { ApiError, ConnectionError, isInvalid, isQuotaExceeded, missingRight } from '../kube/errors.ts';
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
  /** Objects of which it is not known, since no policy answered. */
  untested: { namespace: string; why: string }[];
}

/** Requests at a time: a platform has hundreds of objects. */
const atOnce = 8;

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
  const limit = pLimit(atOnce);
  const { connection } = cluster.transport;
  const tried = await Promise.all(
    objects.map(async (object) => {
      const namespace = object.metadata.namespace!;
      const answers = await Promise.all(
        tenants(namespace).map((subject) => limit(() => tryAs(connection, subject, object))),
      );
      return { namespace, ...verdictOf(answers) };
    }),
  );
  return {
    beyond: tried.flatMap(({ namespace, refused }) => (refused === undefined ? [] : [{ namespace, why: refused }])),
    untested: tried.flatMap(({ namespace, unknown }) => (unknown === undefined ? [] : [{ namespace, why: unknown }])),
  };
}

/** What the answers to all tenants of a namespace come to. Pure. */
export function verdictOf(answers: Answer[]): { refused?: string; unknown?: string } {
  if (answers.includes('taken')) return {};
  const given = answers.filter((answer) => typeof answer === 'object');
  return given.find(({ unknown }) => unknown !== undefined) ?? given[0] ?? {};
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

type Answer = 'taken' | 'may-not-write' | { refused: string; unknown?: never } | { unknown: string; refused?: never };

async function tryAs(connection: Connection, subject: Subject, object: HostedControlPlane): Promise<Answer> {
  const { name, namespace } = object.metadata;
  const cluster = connectWhole({ ...connection, impersonate: identityOf(subject) });
  try {
    await cluster.create({ ...kind, metadata: { name, namespace }, spec: object.spec } as KubeObject, { dryRun: true });
    return 'taken';
  } catch (error) {
    return answerOf(error);
  } finally {
    await cluster.close();
  }
}

/**
 * What an error says of policies. The definition refuses by 422, a policy and a webhook name themselves; all else, such as a server
 * with too much to do or a namespace that is going, says nothing of them. Pure.
 */
export function answerOf(error: unknown): Answer {
  if (error instanceof ConnectionError) return { unknown: messageOf(error) };
  if (!(error instanceof ApiError)) throw error;
  // The quota is asked last, after all that could refuse, and counts the object that there is.
  if (error.reason === 'AlreadyExists' || isQuotaExceeded(error)) return 'taken';
  if (error.message.includes('cannot impersonate')) return { unknown: 'you may not impersonate its tenants' };
  const isObstacle = /admission webhook ".*" denied the request|ValidatingAdmissionPolicy '.*' .*denied request: /s;
  if (isInvalid(error) || isObstacle.test(error.message))
    return { refused: error.message.replace(/^.* denied (?:the )?request: /s, '') };
  // RBAC is asked before policies.
  if (missingRight(error)) return 'may-not-write';
  return { unknown: `the API server answered ${error.status} ${error.reason}: ${error.message}` };
}

/** As whom the API server takes requests of a subject of RBAC. Pure. */
function identityOf({ kind, name, namespace }: Subject): { user: string; groups: string[] } {
  if (kind === 'Group') return { user: 'k8sk8s:somebody', groups: [name] };
  if (kind !== 'ServiceAccount') return { user: name, groups: ['system:authenticated'] };
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
  return { user: `system:serviceaccount:${namespace}:${name}`, groups };
}
