import { UserError } from '../../base/errors.ts';
import { explainCallError, isForbidden, isNotFound } from '../../kube/errors.ts';
import type { InfraCluster } from '../../kube/infra-cluster.ts';
import type { KubeObject } from '../../kube/objects.ts';
import { pathOf, resourceOf } from '../../kube/resources.ts';

/** Label of the namespaces that were made for a class, with the name of the class. */
export const classLabel = 'k8sk8s.io/class';

export const namespaceKind = { apiVersion: 'v1', kind: 'Namespace' };

/** The namespace of a student; `unseen` where it may not be read. */
export async function readNamespace(cluster: InfraCluster): Promise<KubeObject | 'unseen' | undefined> {
  const path = pathOf(resourceOf(namespaceKind), undefined, cluster.namespace);
  try {
    return (await cluster.transport.request<KubeObject>({ method: 'GET', path })).body;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    if (isForbidden(error)) return 'unseen';
    throw explainCallError(error, `read namespace "${cluster.namespace}"`);
  }
}

/**
 * The names of two classes and of their students may come to one namespace: student `b` of class `linux-a`, and `a-b` of `linux`.
 *
 * @throws UserError `class` for a namespace that was made for another class
 */
export async function refuseOtherClass(cluster: InfraCluster, className: string): Promise<void> {
  const present = await readNamespace(cluster);
  const of = typeof present === 'object' ? present.metadata.labels?.[classLabel] : undefined;
  if (of === undefined || of === className) return;
  throw new UserError({
    what: `namespace "${cluster.namespace}" is of class "${of}", and not of "${className}"`,
    why: "the plane in it is another student's",
    fix: 'give this student another namespace: in the column namespace of the roster, or by another name of the student',
    anchor: 'class',
    kind: 'refused',
  });
}
