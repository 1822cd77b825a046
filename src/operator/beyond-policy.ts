import pLimit from 'p-limit';
import { messageOf } from '../base/errors.ts';
import type { Connection } from '../kube/connection.ts';
import { ApiError, ConnectionError, isInvalid, isQuotaExceeded, missingRight } from '../kube/errors.ts';
import type { KubeObject } from '../kube/objects.ts';
import { connectWhole, type WholeCluster } from '../kube/whole-cluster.ts';
import { tenantRole } from './names.ts';
import { type HostedControlPlane, kind } from './object.ts';

/** An object that somebody could not apply today who may write it in its namespace. */
interface BeyondPolicy {
  namespace: string;
  /** What the infra cluster's API server says to the one who tries. */
  why: string;
  /** Who could nevertheless, as `Group system:masters`; absent where nobody could. */
  exceptFor?: string[];
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
 * once more in a dry run, as each subject of the RoleBindings of its namespace and of those of the tenants' role everywhere. What an
 * administrator wrote for somebody is refused to that one, too, and nothing in an object tells it from what an older policy let in.
 *
 * An administrator of the namespace may bind whomever they like, as the group system:masters, which may write all: so one who may does not
 * hide that others may not.
 *
 * The API server asks definition and policies before it finds that there is such an object already: 409 is a yes.
 *
 * @throws ApiError 403 where bindings may not be listed
 */
export async function reviewPolicies(cluster: WholeCluster, objects: HostedControlPlane[]): Promise<PolicyReview> {
  const writers = await writersOf(cluster);
  const limit = pLimit(atOnce);
  const { connection } = cluster.transport;
  const tried = await Promise.all(
    objects.map(async (object) => {
      const namespace = object.metadata.namespace!;
      const answers = await Promise.all(
        writers(namespace).map(async (subject) => ({
          who: wordsOf(subject),
          answer: await limit(() => tryAs(connection, subject, object)),
        })),
      );
      return { namespace, ...verdictOf(answers) };
    }),
  );
  return {
    beyond: tried.flatMap(({ namespace, refused, exceptFor }) =>
      refused === undefined ? [] : [{ namespace, why: refused, ...(exceptFor && { exceptFor }) }],
    ),
    untested: tried.flatMap(({ namespace, unknown }) => (unknown === undefined ? [] : [{ namespace, why: unknown }])),
  };
}

/** What the answers to all who may write an object come to. Pure. */
export function verdictOf(answers: { who: string; answer: Answer }[]): {
  refused?: string;
  exceptFor?: string[];
  unknown?: string;
} {
  const given = answers.map(({ answer }) => answer).filter((answer) => typeof answer === 'object');
  const taken = answers.filter(({ answer }) => answer === 'taken').map(({ who }) => who);
  const refused = given.find((answer) => answer.refused !== undefined)?.refused;
  if (taken.length > 0) return refused === undefined ? {} : { refused, exceptFor: taken };
  const unknown = given.find((answer) => answer.unknown !== undefined)?.unknown;
  if (unknown !== undefined) return { unknown };
  return refused === undefined ? {} : { refused };
}

/** By namespace, each once. A role of another name may have the rights of the tenants'. */
async function writersOf(cluster: WholeCluster): Promise<(namespace: string) => Subject[]> {
  const of = (kind: string) => cluster.list<Binding>({ apiVersion: 'rbac.authorization.k8s.io/v1', kind });
  const [bindings, everywhere] = await Promise.all([of('RoleBinding'), of('ClusterRoleBinding')]);
  const tenants = everywhere.items.filter(
    ({ roleRef }) => roleRef.kind === 'ClusterRole' && roleRef.name === tenantRole,
  );
  return (namespace) => {
    const subjects = [...bindings.items.filter(({ metadata }) => metadata.namespace === namespace), ...tenants].flatMap(
      ({ subjects = [] }) => subjects,
    );
    return [...new Map(subjects.map((subject) => [wordsOf(subject), subject])).values()];
  };
}

/** `User anna`, `ServiceAccount team/robot`. */
const wordsOf = ({ kind, name, namespace }: Subject) => `${kind} ${[namespace, name].filter(Boolean).join('/')}`;

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
