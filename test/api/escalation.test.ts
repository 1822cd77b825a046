import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { hostedControlPlane } from '../../src/config/hosted-control-plane.ts';
import type { Kind } from '../../src/kube/cluster.ts';
import { connectInfra } from '../../src/kube/connect.ts';
import { ApiError } from '../../src/kube/errors.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { connectWhole } from '../../src/kube/whole-cluster.ts';
import { applyObjects, operatorObjects } from '../../src/operator/install.ts';
import { accountOf, operatorName, operatorNamespace } from '../../src/operator/names.ts';
import { objectAnnotation } from '../../src/plane/names.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { connectByFile } from '../connect-by-file.ts';
import { bind, untilPoliciesHold } from './rights.ts';
import { type Delegate, kubeconfigOf, newNamespace, request } from './world.ts';

// What somebody could try who has a plane by its object alone (the tenant), or `edit` in the namespace without an object (the editor): each
// way of the table in docs/operator.md, with what refuses it.

const configMap = { apiVersion: 'v1', kind: 'ConfigMap' };
const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1' };
const manifest = 'apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: own}\n';
const claim = { ...hostedControlPlane, metadata: { name: 'k8sk8s' } };
let home: Delegate;
let other: Delegate;
let tenant: InfraCluster;
/** The tenant's connection, with the other namespace in each request. */
let tenantElsewhere: InfraCluster;
let tenantInSystem: InfraCluster;
let editorElsewhere: InfraCluster;

beforeAll(async () => {
  home = await newNamespace({ annotations: { 'k8sk8s.io/hosts': 'k.example.com' } });
  other = await newNamespace();
  const user = `tenant-of-${home.name}`;
  const file = await kubeconfigOf(user, home.name);
  tenant = connectByFile(file, home.name);
  tenantElsewhere = connectByFile(file, other.name);
  editorElsewhere = connectByFile(home.kubeconfig, other.name);
  tenantInSystem = connectByFile(file, operatorNamespace);
  // The operator itself is that of operator.test.ts: its rights are cluster-wide and stay as they are, as its policy does, which names it.
  const guards = ['CustomResourceDefinition', 'ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'];
  const objects = operatorObjects(operatorNamespace).filter(
    ({ kind, metadata: { name } }) => (guards.includes(kind) && name !== 'k8sk8s-operator') || name === 'k8sk8s-tenant',
  );
  await applyObjects(connectWhole(home.admin.transport.connection), objects, quietReporter);
  await bind(home.admin, { kind: 'ClusterRole', name: 'k8sk8s-tenant' }, { kind: 'User', name: user });
  await untilPoliciesHold(home.admin);
  await other.admin.create({ ...configMap, metadata: { name: 'k8sk8s' } });
  await home.admin.create({ ...configMap, metadata: { name: 'k8sk8s' } });
  await home.admin.create({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'k8sk8s-ca' } });
  await home.admin.create({ ...claim, spec: { host: 'k.example.com' } } as KubeObject);
});

const claimWith =
  (spec: object, metadata: object = {}) =>
  () =>
    tenant.create(
      {
        ...claim,
        metadata: { ...claim.metadata, ...metadata },
        spec: { host: 'k.example.com', ...spec },
      } as KubeObject,
      {
        dryRun: true,
      },
    );

const change = (body: object, subresource = '') =>
  tenant.transport.request({
    method: 'PATCH',
    path: `/apis/k8sk8s.io/v1alpha1/namespaces/${home.name}/hostedcontrolplanes/k8sk8s${subresource}`,
    query: { dryRun: 'All' },
    body,
    contentType: 'application/merge-patch+json',
  });

const binding = (kind: string, name: string): KubeObject =>
  ({
    ...rbac,
    kind: 'RoleBinding',
    metadata: { name: 'own' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
    subjects: [{ kind: 'ServiceAccount', name: 'k8sk8s-plane', namespace: home.name }],
  }) as KubeObject;

const create = (by: () => InfraCluster, kind: Kind, rest: object) => () =>
  by().create({ ...kind, metadata: { name: 'own' }, ...rest } as KubeObject, { dryRun: true });

async function statusOf(attempt: Promise<unknown>): Promise<number | undefined> {
  return attempt.then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof ApiError) return error.status;
      throw error;
    },
  );
}

/** Every status is that of the infra cluster's API server: 403 by RBAC or a policy, 422 and 400 by the definition. */
const ways: [way: string, status: number, attempt: () => Promise<unknown>][] = [
  ['an image of its own', 403, claimWith({ etcdImage: 'own/etcd:1' })],
  ['images of its own registry', 403, claimWith({ imageRegistry: 'own.test' })],
  ["another's pull secret by name", 403, claimWith({ imagePullSecret: 'k8sk8s-ca' })],
  ['arguments', 403, claimWith({ apiServerArgs: ['profiling=true'] })],
  ['feature gates', 403, claimWith({ featureGates: { AllAlpha: 'true' } })],
  ['a node of its choice', 403, claimWith({ nodeSelector: { 'kubernetes.io/hostname': 'infra-1' } })],
  ['taints that keep others out', 403, claimWith({ tolerations: ['node-role.kubernetes.io/control-plane'] })],
  ['a priority above others', 403, claimWith({ priorityClassName: 'system-node-critical' })],
  ['a runtime of its choice', 403, claimWith({ runtimeClassName: 'own' })],
  ['another ServiceAccount', 403, claimWith({ serviceAccountName: 'default' })],
  ['another user id', 403, claimWith({ runAsUser: 1000 })],
  ['more than its share', 403, claimWith({ resources: ['kube-apiserver=cpu=64'] })],
  ['a larger volume', 403, claimWith({ etcdStorage: '900Gi' })],
  ['a way out for the API server', 403, claimWith({ allowEgress: ['10.0.0.0/8'] })],
  ['the infra cluster for its logs', 403, claimWith({ logs: true, logsStorage: '900Gi' })],
  ['service accounts of another namespace let in', 403, claimWith({ trustInfra: ['kube-system'] })],
  ['its own manifests of a network', 403, claimWith({ network: 'manifest', networkManifest: manifest })],
  ['a Gateway of another namespace', 403, claimWith({ expose: 'gateway', gateway: 'infra/shared' })],
  ['a token issuer inside of the infra cluster', 403, claimWith({ oidcIssuer: 'https://10.0.0.1', oidcClientId: 'x' })],
  ["another plane's data, by a restore", 400, claimWith({ restore: { from: 's3://backups/other' } })],
  ['backups that it can open itself', 400, claimWith({ backup: { destination: 'a', recipients: ['age1own'] } })],
  ['an object that is never deleted, nor its namespace', 403, claimWith({}, { finalizers: ['example.com/own'] })],
  ['the same by a later change', 403, () => change({ metadata: { finalizers: ['example.com/own'] } })],
  [
    'a consent or a use in the name of the status',
    403,
    () => change({ status: { usedConsent: '1', unusedAt: null } }, '/status'),
  ],
  ["another's HOST in capitals", 422, claimWith({ host: 'OTHER.example.com' })],
  ['every HOST of a domain', 422, claimWith({ host: '*.example.com' })],
  ['workers that are pods', 403, claimWith({ workerPods: 5, workerImage: 'own/worker:1' })],
  ["another's HOST", 403, claimWith({ host: 'other.example.com' })],
  ["another's HOST by the other's name in a longer one", 403, claimWith({ host: 'xk.example.com.evil.test' })],
  ["another's HOST among more names", 403, claimWith({ moreHosts: ['k.example.com', 'other.example.com'] })],
  ['more replicas by /scale', 403, () => change({ spec: { replicas: 5 } }, '/scale')],
  ['a status that says what is not so', 403, () => change({ status: { planeId: 'plane-other' } }, '/status')],
  ['a second plane in the namespace', 422, claimWith({}, { name: 'second' })],
  ['a plane in another namespace', 403, () => tenantElsewhere.create(claim as KubeObject, { dryRun: true })],
  ['a field that there is not: hostPath volumes', 400, claimWith({ volumes: [{ hostPath: { path: '/' } }] })],
  [
    "the record of the command line's plane, to adopt it",
    403,
    () => tenant.merge(configMap, 'k8sk8s', { metadata: { annotations: { [objectAnnotation]: 'x' } } }),
  ],
  ['the CA of its plane', 403, () => tenant.get({ apiVersion: 'v1', kind: 'Secret' }, 'k8sk8s-ca')],
  [
    'pods beside its plane',
    403,
    create(() => tenant, { apiVersion: 'v1', kind: 'Pod' }, { spec: { containers: [{ name: 'a', image: 'a' }] } }),
  ],
  [
    'a token of the account of its namespace',
    403,
    () => request(tenant, 'POST', `/api/v1/namespaces/${home.name}/serviceaccounts/k8sk8s-plane/token`, {}),
  ],
  [
    'to be the account of its namespace',
    403,
    () => {
      const as = { ...tenant.transport.connection, impersonate: { user: accountOf(home.name) } };
      return connectInfra(as, home.name).list({ apiVersion: 'v1', kind: 'Secret' });
    },
  ],
  [
    "the operator's Lease",
    403,
    () => tenantInSystem.get({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' }, operatorName),
  ],
  [
    "a token of the operator's account",
    403,
    () => request(tenant, 'POST', `/api/v1/namespaces/${operatorNamespace}/serviceaccounts/${operatorName}/token`, {}),
  ],
  ['a right to its own fields', 403, create(() => tenant, { ...rbac, kind: 'Role' }, { rules: [] })],
  ['the HOSTs of its namespace', 403, () => request(tenant, 'PUT', `/api/v1/namespaces/${home.name}`, {})],
  ['an object, with edit alone', 403, () => home.cluster.create(claim as KubeObject, { dryRun: true })],
  [
    "another namespace's Secrets, with edit alone",
    403,
    () => editorElsewhere.list({ apiVersion: 'v1', kind: 'Secret' }),
  ],
  [
    'pods in another namespace, with edit alone',
    403,
    create(
      () => editorElsewhere,
      { apiVersion: 'v1', kind: 'Pod' },
      { spec: { containers: [{ name: 'a', image: 'a' }] } },
    ),
  ],
  [
    "another plane's Deployment, with edit alone",
    403,
    () =>
      editorElsewhere.merge({ apiVersion: 'apps/v1', kind: 'Deployment' }, 'kube-apiserver', { spec: { replicas: 0 } }),
  ],
  ["the account's rights, with edit alone", 403, () => home.cluster.create(binding('ClusterRole', 'cluster-admin'))],
  [
    'a right to fields, with edit alone',
    403,
    create(
      () => home.cluster,
      { ...rbac, kind: 'Role' },
      {
        rules: [{ apiGroups: ['k8sk8s.io'], resources: ['hostedcontrolplanes/fields'], verbs: ['set'] }],
      },
    ),
  ],
];

// Otherwise a policy that refuses everything would pass for one that protects.
test('what a tenant may choose is taken', async () => {
  expect(await statusOf(change({ spec: { profile: 'lite' } }))).toBeUndefined();
});

test.each(ways)('%s is refused', async (_way, status, attempt) => {
  expect(await statusOf(attempt())).toBe(status);
});

test('the table of docs/operator.md has each of these ways', () => {
  const text = readFileSync('docs/operator.md', 'utf8');
  const rows = text.split('\n').map((line) => line.split('|')[1]?.trim());
  expect(ways.map(([way]) => way).filter((way) => !rows.includes(way))).toEqual([]);
});
