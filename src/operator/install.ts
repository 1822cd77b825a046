import deploymentTemplate from '../../templates/operator/deployment.yaml';
import rightsTemplate from '../../templates/operator/rights.yaml';
import rightsInNamespace from '../../templates/rights/namespace-admin.yaml';
import { explainCallError } from '../kube/errors.ts';
import { type KubeObject, type Lease, nameOf } from '../kube/objects.ts';
import type { WholeCluster } from '../kube/whole-cluster.ts';
import { render } from '../manifests/render.ts';
import type { Reporter } from '../ui/reporter.ts';
import { customResourceDefinition } from './crd/crd.ts';
import { policies } from './field-policy.ts';
import { operatorName, planeAccount } from './names.ts';

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

/** Takes away what operatorObjects made but the definition of HostedControlPlane: with it, every plane would be deleted. */
export async function uninstall(cluster: WholeCluster, namespace: string, reporter: Reporter): Promise<void> {
  const objects = operatorObjects(namespace, 'none').filter(({ kind }) => kind !== 'CustomResourceDefinition');
  for (const object of objects.reverse()) {
    const was = await cluster.delete(object).catch((error: unknown) => {
      throw explainCallError(error, `delete ${nameOf(object)}`);
    });
    if (was) reporter.line(`${nameOf(object)} deleted`);
  }
}
