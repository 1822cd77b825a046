import type { Cluster } from '../../src/kube/cluster.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { operatorName, planeAccount } from '../../src/operator/names.ts';
import { until } from '../until.ts';

/*
 * An API server takes Roles and their bindings over from a watch, each of them a moment after it was written: what follows at once may
 * be refused yet.
 */

export interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
  resourceNames?: string[];
}

type Subject = { kind: 'User' | 'Group'; name: string } | { kind: 'ServiceAccount'; name: string; namespace: string };

interface Who {
  user: string;
  groups?: string[];
}

/** As whom the API server knows a pod of the account. */
export const accountAs = (namespace: string, name: string): Who => ({
  user: `system:serviceaccount:${namespace}:${name}`,
  groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
});

function asWhom(subject: Subject): Who {
  if (subject.kind === 'ServiceAccount') return accountAs(subject.namespace, subject.name);
  return subject.kind === 'User' ? { user: subject.name } : { user: 'somebody', groups: [subject.name] };
}

/** `resourceAttributes` of an authorization.k8s.io/v1 SubjectAccessReview. */
interface Asked {
  namespace?: string;
  verb: string;
  group?: string;
  resource: string;
  subresource?: string;
  name?: string;
}

async function isAllowed(admin: Cluster, who: Who, resourceAttributes: Asked): Promise<boolean> {
  const { body } = await admin.transport.request<{ status: { allowed: boolean } }>({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: { ...who, resourceAttributes },
    },
  });
  return body.status.allowed;
}

/** Waits until the API server lets somebody do something. @param admin who may ask that */
export async function untilAllowed(admin: Cluster, who: Who, asked: Asked): Promise<void> {
  const said = () => `${who.user} may not yet: ${JSON.stringify(asked)}`;
  await until(() => isAllowed(admin, who, asked), { every: 20, said });
}

/** Binds a role in the namespace of `admin`, and waits until the subjects have what it gives. */
export async function bind(
  admin: InfraCluster,
  role: { kind: 'Role' | 'ClusterRole'; name: string },
  ...subjects: [Subject, ...Subject[]]
): Promise<void> {
  const apiGroup = 'rbac.authorization.k8s.io';
  const asked = (await rulesOf(admin, role)).map((rule) => askedBy(rule, admin.namespace));
  // What they may do by another role says nothing of this one.
  const news = await Promise.all(
    subjects.map(async (subject) => {
      const who = asWhom(subject);
      for (const each of asked) if (!(await isAllowed(admin, who, each))) return { who, each };
      return undefined;
    }),
  );
  await admin.create({
    apiVersion: `${apiGroup}/v1`,
    kind: 'RoleBinding',
    metadata: { name: `${role.name}-${subjects[0].name}` },
    roleRef: { apiGroup, ...role },
    subjects: subjects.map((subject) => (subject.kind === 'ServiceAccount' ? subject : { apiGroup, ...subject })),
  } as KubeObject);
  for (const found of news) if (found) await untilAllowed(admin, found.who, found.each);
}

function askedBy({ apiGroups, resources, verbs, resourceNames }: Rule, namespace: string): Asked {
  const [resource = '', subresource] = resources[0]!.split('/');
  return { namespace, verb: verbs[0]!, group: apiGroups[0], resource, subresource, name: resourceNames?.[0] };
}

async function rulesOf(admin: InfraCluster, { kind, name }: { kind: 'Role' | 'ClusterRole'; name: string }) {
  const within = kind === 'Role' ? `namespaces/${admin.namespace}/roles` : 'clusterroles';
  const path = `/apis/rbac.authorization.k8s.io/v1/${within}/${name}`;
  return (await admin.transport.request<{ rules: Rule[] }>({ method: 'GET', path })).body.rules;
}

/** Waits until the operator's policies hold, which is a moment after they were made. They count together, and the last one is asked. */
export async function untilPoliciesHold(admin: Cluster): Promise<void> {
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/hostedcontrolplanes.k8sk8s.io';
  await until(() =>
    admin.transport.request({ method: 'DELETE', path, query: { dryRun: 'All' } }).then(
      () => false,
      ({ message }: Error) => message.includes('k8sk8s-definition'),
    ),
  );
}

/** Waits until an operator that was installed in `namespace` may begin. @param admin who may ask that */
export async function untilInstalled(admin: Cluster, namespace: string): Promise<void> {
  const operator = accountAs(namespace, operatorName);
  const lease = { namespace, group: 'coordination.k8s.io', resource: 'leases', name: operatorName };
  for (const verb of ['get', 'update']) await untilAllowed(admin, operator, { ...lease, verb });
  const objects = { verb: 'watch', group: 'k8sk8s.io', resource: 'hostedcontrolplanes' };
  await untilAllowed(admin, operator, objects);
  await untilPoliciesHold(admin);
}

/** Waits until the operator may work in a namespace as the account of it. @param admin who may ask that */
export function untilOperatorMay(admin: Cluster, namespace: string): Promise<void> {
  return untilAllowed(admin, accountAs(namespace, planeAccount), { namespace, verb: 'create', resource: 'services' });
}
