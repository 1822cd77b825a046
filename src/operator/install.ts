import deploymentTemplate from '../../templates/operator/deployment.yaml';
import rightsTemplate from '../../templates/operator/rights.yaml';
import rightsInNamespace from '../../templates/rights/namespace-admin.yaml';
import { hostedControlPlane } from '../config/hosted-control-plane.ts';
import { connectInfra } from '../kube/connect.ts';
import { explainCallError } from '../kube/errors.ts';
import { type KubeObject, type Lease, nameOf } from '../kube/objects.ts';
import type { WholeCluster } from '../kube/whole-cluster.ts';
import { readRecord } from '../live/record.ts';
import { render } from '../manifests/render.ts';
import type { Reporter } from '../ui/reporter.ts';
import { customResourceDefinition } from './crd/crd.ts';
import { policies } from './field-policy.ts';
import { operatorName, planeAccount, tenantRole } from './names.ts';
import type { HostedControlPlane } from './object.ts';
import { setOwner } from './ownership.ts';

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
  return [ofNamespace, customResourceDefinition(), ...policies(labels), ...others, lease, ...deployment];
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

/** Applies objects one after the other; an infra cluster that is told of a new kind needs a moment to know it. */
export async function applyObjects(cluster: WholeCluster, objects: KubeObject[], reporter: Reporter): Promise<void> {
  for (const object of objects) {
    await cluster.apply(object).catch((error: unknown) => {
      throw explainCallError(error, `apply ${nameOf(object)}`);
    });
    reporter.line(`${nameOf(object)} applied`);
  }
}

/**
 * Takes the operator away. What guards the objects stays with them: the definition, with which every plane would be deleted, and who may
 * write what into an object. Planes are released: from then on they do not go with their objects, and are the command line's.
 */
export async function uninstall(cluster: WholeCluster, namespace: string, reporter: Reporter): Promise<void> {
  // The Deployment first, the namespace last.
  for (const object of operatorObjects(namespace, 'none').filter(goes).reverse()) {
    const was = await cluster.delete(object).catch((error: unknown) => {
      throw explainCallError(error, `delete ${nameOf(object)}`);
    });
    if (was) reporter.line(`${nameOf(object)} deleted`);
  }
  const { items } = await cluster.list<HostedControlPlane>(hostedControlPlane).catch((error: unknown) => {
    throw explainCallError(error, 'list HostedControlPlanes');
  });
  for (const object of items) await release(cluster, object, reporter);
}

const goes = ({ kind, metadata }: KubeObject) =>
  !['CustomResourceDefinition', 'ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'].includes(kind) &&
  metadata.name !== tenantRole;

/** Takes the object's ownership off its plane. */
async function release(cluster: WholeCluster, object: HostedControlPlane, reporter: Reporter): Promise<void> {
  const namespace = object.metadata.namespace!;
  const inside = connectInfra(cluster.transport.connection, namespace);
  try {
    const record = await readRecord(inside);
    if (!record) return;
    await setOwner(inside, record.planeId);
    reporter.line(`the plane in namespace "${namespace}" is released`);
  } catch (error) {
    throw explainCallError(error, `release the plane in namespace "${namespace}"`);
  } finally {
    await inside.close();
  }
}
