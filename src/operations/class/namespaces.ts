import classRights from '../../../templates/rights/class.yaml';
import namespaceAdminTemplate from '../../../templates/rights/namespace-admin.yaml';
import { UserError } from '../../base/errors.ts';
import { command, option, words } from '../../base/words.ts';
import { explainCallError, isConflict, isForbidden, isNotFound } from '../../kube/errors.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { KubeObject } from '../../kube/objects.ts';
import { pathOf, resourceOf } from '../../kube/resources.ts';
import { render } from '../../manifests/render.ts';
import { hostsAnnotation } from '../../plane/names.ts';
import { waitFor } from '../../ui/wait-for.ts';
import type { Patience } from '../../ui/work.ts';
import { classLabel, namespaceKind, readNamespace } from './of-class.ts';
import type { Student } from './queue.ts';

/**
 * The objects around a student's plane: the namespace with the HOST that belongs to it, its quota, and the rights of a delegated
 * administrator. Pure.
 *
 * @param users who gets these rights there: the teacher, and the student where the roster names a user
 * @param further what else is to be there
 */
export function classObjects(
  className: string,
  { namespace, host }: Student,
  users: string[],
  further: KubeObject[] = [],
): KubeObject[] {
  const annotations = host === '' ? undefined : { [hostsAnnotation]: host };
  return render(classRights, { className, namespace }, 'rights/class.yaml')
    .concat(render(namespaceAdminTemplate, {}, 'rights/namespace-admin.yaml'))
    .map((object) =>
      object.kind === 'Namespace'
        ? { ...object, metadata: { ...object.metadata, ...(annotations && { annotations }) } }
        : within(namespace, object),
    )
    .concat(users.length > 0 ? [within(namespace, bindingOf(users))] : [])
    .concat(further.map((object) => within(namespace, object)));
}

const within = (namespace: string, object: KubeObject): KubeObject => ({
  ...object,
  metadata: { ...object.metadata, namespace },
});

function bindingOf(users: string[]): KubeObject {
  const apiGroup = 'rbac.authorization.k8s.io';
  return {
    apiVersion: `${apiGroup}/v1`,
    kind: 'RoleBinding',
    metadata: { name: 'k8sk8s' },
    roleRef: { apiGroup, kind: 'Role', name: 'k8sk8s' },
    subjects: users.map((name) => ({ apiGroup, kind: 'User', name })),
  } as KubeObject;
}

/**
 * Makes the namespace of a student where it is missing, with quota and rights; an existing one is not changed.
 *
 * @param options `existing`: none is made; `further`: what else is to be in one that is made here
 * @throws UserError `class` where it is missing and may not be made
 */
export async function ensureNamespace(
  cluster: InfraCluster,
  className: string,
  student: Student,
  options: { existing: boolean; further?: KubeObject[] },
): Promise<void> {
  const present = await readNamespace(cluster);
  // Somebody without the right to read the namespace uses one that others made: deploy's checks say whether it exists.
  if (present === 'unseen' || (present && present.metadata.labels?.[classLabel] !== className)) return;
  if (!present && options.existing) throw missing(cluster.namespace);
  const users = student.user === undefined ? [] : [student.user];
  const [namespace, ...others] = classObjects(className, student, users, options.further);
  try {
    if (!present)
      await cluster.transport.request({ method: 'POST', path: pathOf(resourceOf(namespaceKind)), body: namespace });
  } catch (error) {
    if (isForbidden(error)) throw missing(cluster.namespace);
    if (!isConflict(error)) throw explainCallError(error, `create namespace "${cluster.namespace}"`);
  }
  try {
    for (const object of others) {
      // A quota that somebody has made larger stays so.
      if (present && object.kind === 'ResourceQuota' && (await cluster.get(object, object.metadata.name))) continue;
      await cluster.apply(object);
    }
  } catch (error) {
    // A namespace that somebody else made with `class rights --export` has all of this already.
    if (!present || !isForbidden(error))
      throw explainCallError(error, `make quota and rights in namespace "${cluster.namespace}"`);
  }
}

/**
 * Deletes a namespace that was made for the class, and waits until it is gone.
 *
 * @returns false where it stays: it was not made for the class, or whoever asks may not delete it
 */
export async function removeNamespace(
  cluster: InfraCluster,
  className: string,
  { timeout, signal }: Patience,
): Promise<boolean> {
  const present = await readNamespace(cluster);
  if (present === undefined) return true;
  if (present === 'unseen' || present.metadata.labels?.[classLabel] !== className) return false;
  const path = pathOf(resourceOf(namespaceKind), undefined, cluster.namespace);
  try {
    await cluster.transport.request({ method: 'DELETE', path, body: { preconditions: { uid: present.metadata.uid } } });
  } catch (error) {
    if (isForbidden(error)) return false;
    if (!isNotFound(error)) throw explainCallError(error, `delete namespace "${cluster.namespace}"`);
  }
  return waitFor({
    until: async () => (await readNamespace(cluster)) === undefined,
    timeout,
    signal,
    every: 500,
    late: (after) =>
      new UserError({
        what: `namespace "${cluster.namespace}" is still there after ${after}`,
        why: 'its plane is gone, but another object in it has a finalizer that nobody removes',
        fix: `find that object: kubectl get namespace ${cluster.namespace} -o yaml, under status.conditions`,
        anchor: 'class',
      }),
  });
}

function missing(namespace: string): UserError {
  return new UserError({
    what: `namespace "${namespace}" is missing, and you may not make it`,
    why: 'every student has a plane in a namespace of its own',
    fix: words`give the administrator of the infra cluster what ${command('class rights', undefined, option('export'))} prints`,
    anchor: 'class',
    kind: 'refused',
  });
}
