import rightsInNamespace from '../../templates/rights/namespace-admin.yaml';
import { said, UserError } from '../base/errors.ts';
import { again, joined, words } from '../base/words.ts';
import { hostedControlPlane } from '../config/hosted-control-plane.ts';
import { connectInfra } from '../kube/connect.ts';
import { explainCallError, isConflict, isNotFound } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import { type KubeObject, type Lease, nameOf } from '../kube/objects.ts';
import type { WholeCluster } from '../kube/whole-cluster.ts';
import { followsObject } from '../live/followed.ts';
import { readRecord } from '../live/record.ts';
import { render } from '../manifests/render.ts';
import { releasePlane } from '../operations/adopt.ts';
import { destroy } from '../operations/destroy.ts';
import { hostsAnnotation, partOf } from '../plane/names.ts';
import type { Reporter } from '../ui/reporter.ts';
import type { Patience, Work } from '../ui/work.ts';
import { customResourceDefinition } from './crd/crd.ts';
import deploymentTemplate from './deployment.yaml';
import { policies } from './field-policy.ts';
import { finalizersFor, holdsForBackup } from './last-backup.ts';
import { operatorName, planeAccount, tenantRole } from './names.ts';
import type { HostedControlPlane } from './object.ts';
import rightsTemplate from './rights.yaml';

const labels = {
  'app.kubernetes.io/name': operatorName,
  'app.kubernetes.io/part-of': 'k8sk8s',
  'app.kubernetes.io/managed-by': 'k8sk8s',
};

/** The operator: what it may do, its Lease, and, with an image, the Deployment in which it runs. Pure. */
export function operatorObjects(namespace: string, image?: string): KubeObject[] {
  const rights = render(rightsTemplate, { namespace, labels }, 'operator/rights.yaml');
  const [ofNamespace, ...others] = rights as [KubeObject, ...KubeObject[]];
  const lease: Lease = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: operatorName, namespace, labels },
    spec: {},
  };
  const deployment = image ? render(deploymentTemplate, { namespace, labels, image }, 'operator/deployment.yaml') : [];
  return [ofNamespace, customResourceDefinition(), ...policies(labels, namespace), ...others, lease, ...deployment];
}

/** The account as which the operator works in a namespace: the rights that a person who has planes there is given, and no more. Pure. */
export function accountObjects(namespace: string): KubeObject[] {
  const [role] = render(rightsInNamespace, {}, 'rights/namespace-admin.yaml') as [KubeObject];
  const metadata = { name: planeAccount, namespace, labels };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    { ...role, metadata },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: planeAccount },
      subjects: [{ kind: 'ServiceAccount', name: planeAccount, namespace }],
    } as KubeObject,
  ];
}

const namespaceKind = { apiVersion: 'v1', kind: 'Namespace' };

/** The namespace with the HOSTs that belong to it, for who applies it by other means. Pure. */
export function namespaceWithHosts(name: string, hosts: string[]): KubeObject {
  return { ...namespaceKind, metadata: { name, annotations: { [hostsAnnotation]: hosts.join(',') } } };
}

/** Adds HOSTs to those that belong to a namespace. @throws UserError `namespace`, `rights` */
export async function addHosts(
  cluster: WholeCluster,
  namespace: string,
  hosts: string[],
  reporter: Reporter,
): Promise<void> {
  const explain = (error: unknown) => {
    throw explainCallError(error, `change the annotations of namespace "${namespace}"`);
  };
  const found = await cluster.get<KubeObject>(namespaceKind, namespace).catch(explain);
  const before = (found?.metadata.annotations?.[hostsAnnotation] ?? '')
    .split(',')
    .map((each) => each.trim())
    .filter(Boolean);
  const all = [...new Set([...before, ...hosts])];
  // What somebody else has added since then is not taken away: that is a conflict.
  const resourceVersion = found?.metadata.resourceVersion;
  const annotations = { [hostsAnnotation]: all.join(',') };
  await cluster.merge(namespaceKind, namespace, { metadata: { resourceVersion, annotations } }).catch(explain);
  reporter.line(`hosts of namespace "${namespace}": ${all.join(', ')}`);
}

/** Applies objects one after the other; an infra cluster that is told of a new kind needs a moment to know it. */
export async function applyObjects(cluster: WholeCluster, objects: KubeObject[], reporter: Reporter): Promise<void> {
  for (const object of objects) {
    await cluster.apply(object).catch((error: unknown) => {
      throw explainCallError(error, `apply ${nameOf(object)}`);
    });
    reporter.line(`${nameOf(object)} applied`);
  }
}

/** Makes the operator. A namespace that somebody else has made is used as it is. */
export async function installOperator(
  cluster: WholeCluster,
  namespace: string,
  image: string | undefined,
  reporter: Reporter,
): Promise<void> {
  const isOthers = await isOfOthers(cluster, namespace);
  if (isOthers) reporter.line(`namespace "${namespace}" is there already, and stays as it is`);
  const objects = operatorObjects(namespace, image);
  await applyObjects(cluster, isOthers ? objects.filter(({ kind }) => kind !== 'Namespace') : objects, reporter);
}

/** Whether a namespace is there that was not made for the operator: other things may be in it. */
async function isOfOthers(cluster: WholeCluster, namespace: string): Promise<boolean> {
  const found = await cluster.get<KubeObject>(namespaceKind, namespace).catch((error: unknown) => {
    throw explainCallError(error, `read namespace "${namespace}"`);
  });
  return found !== undefined && found.metadata.labels?.['app.kubernetes.io/part-of'] !== partOf;
}

/**
 * Takes the operator away. What guards the objects stays with them: the definition, with which every plane would be deleted, and who may
 * write what into an object. Planes are released: from then on they do not go with their objects, and are the command line's.
 *
 * @param destroying how long each plane may take to go, where objects and their planes are to be deleted as well
 * @throws UserError once all planes were tried, naming those that are not released
 */
export async function uninstall(
  cluster: WholeCluster,
  namespace: string,
  reporter: Reporter,
  destroying?: Patience,
): Promise<void> {
  const isOthers = await isOfOthers(cluster, namespace);
  if (isOthers) reporter.line(`namespace "${namespace}" stays, as it was not made for the operator`);
  // The Deployment first, the namespace last.
  for (const object of operatorObjects(namespace, 'none').filter(goes).reverse()) {
    if (isOthers && object.kind === 'Namespace') continue;
    const was = await cluster.delete(object).catch((error: unknown) => {
      throw explainCallError(error, `delete ${nameOf(object)}`);
    });
    if (was) reporter.line(`${nameOf(object)} deleted`);
  }
  const failed: unknown[] = [];
  // One namespace, of which somebody has damaged the record or which is being deleted, keeps no other from its release.
  for (const object of await objectsOfAll(cluster))
    await uninstallFrom(cluster, object, reporter, destroying).catch((error: unknown) => {
      destroying?.signal.throwIfAborted();
      failed.push(error);
    });
  const [first] = failed;
  if (failed.length > 1 && first instanceof UserError) throw notReleased(failed, first);
  if (first !== undefined) throw first;
}

async function uninstallFrom(
  cluster: WholeCluster,
  object: HostedControlPlane,
  reporter: Reporter,
  destroying: Patience | undefined,
): Promise<void> {
  const follows = destroying !== undefined && (await isFollowed(cluster, object));
  try {
    await release(cluster, object, reporter);
  } catch (error) {
    // Once it is deleted it would wait for a backup that nobody makes. One that is being deleted takes along a plane that is not released.
    if (object.metadata.deletionTimestamp === undefined) await letGo(cluster, object);
    throw error;
  }
  await letGo(cluster, object);
  await forgetEnd(cluster, object);
  if (destroying) await destroyWith(cluster, object, follows, { ...destroying, reporter });
}

function notReleased(errors: unknown[], first: UserError): UserError {
  return new UserError({
    what: `${errors.length} planes are not released`,
    why: joined(errors.map(said), '\n'),
    fix: words`correct what the messages name, then ${again}`,
    anchor: first.anchor,
    cause: first,
  });
}

/** @throws UserError `rights` */
export async function objectsOfAll(cluster: WholeCluster): Promise<HostedControlPlane[]> {
  const { items } = await cluster.list<HostedControlPlane>(hostedControlPlane).catch((error: unknown) => {
    throw explainCallError(error, 'list HostedControlPlanes');
  });
  return items.map((object) => ({ ...object, ...hostedControlPlane }));
}

async function inNamespaceOf<T>(
  cluster: WholeCluster,
  { metadata }: HostedControlPlane,
  doing: string,
  work: (inside: InfraCluster) => Promise<T>,
): Promise<T> {
  const namespace = metadata.namespace!;
  const inside = connectInfra(cluster.transport.connection, namespace);
  try {
    return await work(inside);
  } catch (error) {
    throw explainCallError(error, `${doing} in namespace "${namespace}"`);
  } finally {
    await inside.close();
  }
}

const isFollowed = (cluster: WholeCluster, object: HostedControlPlane) =>
  inNamespaceOf(cluster, object, 'read the plane', followsObject);

/** @param follows whether the plane in its namespace was its own; another one stays */
async function destroyWith(
  cluster: WholeCluster,
  object: HostedControlPlane,
  follows: boolean,
  work: Work,
): Promise<void> {
  const { namespace } = object.metadata;
  await cluster.delete(object).catch((error: unknown) => {
    throw explainCallError(error, `delete the HostedControlPlane of namespace "${namespace}"`);
  });
  if (!follows) return;
  await inNamespaceOf(cluster, object, 'delete the plane', async (inside) =>
    destroy(inside, { ...work, agreed: await readRecord(inside) }),
  );
  work.reporter.line(`the plane in namespace "${namespace}" is deleted`);
}

const goes = ({ kind, metadata }: KubeObject) =>
  !['CustomResourceDefinition', 'ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'].includes(kind) &&
  metadata.name !== tenantRole;

/** Nobody would make the last backup that an object waits for. The operator that ends may write the object meanwhile. */
async function letGo(cluster: WholeCluster, object: HostedControlPlane): Promise<void> {
  const { name, namespace, uid } = object.metadata;
  let now: HostedControlPlane | undefined = object;
  for (let left = 4; now && now.metadata.uid === uid && holdsForBackup(now); left--) {
    try {
      await cluster.setFinalizers(now, finalizersFor(now, false));
      return;
    } catch (error) {
      if (left === 0 || !isConflict(error))
        throw explainCallError(error, `take the finalizer off ${nameOf(object)} in namespace "${namespace}"`);
      now = await cluster.get<HostedControlPlane>(hostedControlPlane, name, namespace);
    }
  }
}

/** With no plane of its own, an object that says another deletionPolicy from now on may be deleted at any time. */
async function forgetEnd(cluster: WholeCluster, { metadata, ...object }: HostedControlPlane): Promise<void> {
  const { name, namespace } = metadata;
  // Whatever version it has by now.
  await cluster.mergeStatus({ ...object, metadata: { name, namespace } }, { deletionPolicy: null }).catch((error) => {
    if (!isNotFound(error))
      throw explainCallError(error, `write the status of the HostedControlPlane of namespace "${namespace}"`);
  });
}

/** Takes the plane from its object. */
function release(cluster: WholeCluster, object: HostedControlPlane, reporter: Reporter): Promise<void> {
  const work = { reporter, timeout: 60_000, signal: new AbortController().signal };
  return inNamespaceOf(cluster, object, 'release the plane', async (inside) => {
    if (await releasePlane(inside, work)) reporter.line(`the plane in namespace "${inside.namespace}" is released`);
  });
}
