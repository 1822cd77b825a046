import { loadAll } from 'js-yaml';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectInfra } from '../../src/kube/connect.ts';
import { ApiError } from '../../src/kube/errors.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { connectWhole, type WholeCluster } from '../../src/kube/whole-cluster.ts';
import { classObjects } from '../../src/operations/class/namespaces.ts';
import { applyObjects } from '../../src/operator/install.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import policies from '../../templates/rights/hosts.yaml';
import { connectByFile } from '../connect-by-file.ts';
import { soon } from '../until.ts';
import { adminKubeconfig, kubeconfigOf, request } from './world.ts';

/*
 * Two students of a class, in the namespaces that `class rights --export` prints. Anna is a user of the infra cluster too, with all that the
 * roster's column `user` gives, and tries to get at Bob's plane and at the nodes that both share. docs/classes.md has the table; what a running
 * plane is needed for is in test/e2e/class.test.ts.
 */

const name = `class-${process.pid}`;
const own = `${name}-anna`;
const others = `${name}-bob`;
let admin: WholeCluster;
let anna: InfraCluster;

const student = (who: string) => ({ name: who, namespace: `${name}-${who}`, host: `${who}.class.test` });
const namesOf = (file: string) =>
  (
    loadAll(file) as (KubeObject & { spec: { policyName?: string; matchResources?: { namespaceSelector: object } } })[]
  ).map((object) => {
    const mine = (each: string) => `${each}-${process.pid}`;
    const { policyName, matchResources, ...spec } = object.spec;
    return {
      ...object,
      metadata: { name: mine(object.metadata.name) },
      spec: policyName
        ? {
            ...spec,
            policyName: mine(policyName),
            // Other files of these tests have namespaces of their own, in which HOSTs are nobody's.
            matchResources: { namespaceSelector: { matchLabels: { 'k8sk8s.io/class': name } } },
          }
        : { ...spec, ...(matchResources && { matchResources }) },
    } as KubeObject;
  });

beforeAll(async () => {
  const file = await kubeconfigOf(`${name}-user`, own);
  anna = connectByFile(file, own);
  admin = connectWhole(connectByFile(adminKubeconfig, own).transport.connection);
  const objects = [
    classObjects(name, student('anna'), [`${name}-user`]),
    classObjects(name, student('bob'), []),
  ].flat();
  await applyObjects(admin, [...objects, ...namesOf(policies)], quietReporter);
  // What controllers of an infra cluster do: accounts, and what a quota has left.
  const inside = connectByFile(adminKubeconfig, own);
  await inside.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } });
  for (const quota of (
    await inside.list<KubeObject & { spec: { hard: Record<string, string> } }>({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
    })
  ).items) {
    const { hard } = quota.spec;
    const used = Object.fromEntries(Object.keys(hard).map((resource) => [resource, resource === 'pods' ? '0' : '0']));
    await request(inside, 'PUT', `/api/v1/namespaces/${own}/resourcequotas/${quota.metadata.name}/status`, {
      ...quota,
      status: { hard, used },
    });
  }
  await inside.close();
});

afterAll(async () => {
  await anna?.close();
  for (const object of namesOf(policies).reverse()) await admin.delete(object);
  await admin?.close();
});

interface Attempt {
  body?: object;
  type?: string;
  as?: InfraCluster;
}

/** @returns status and message of the infra API; 200 where it did as it was asked */
async function answerTo(
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  { body, as = anna }: Attempt = {},
): Promise<{ status: number; message: string }> {
  try {
    const contentType = method === 'PATCH' ? 'application/merge-patch+json' : undefined;
    await as.transport.request({ method, path, body, contentType, query: method === 'GET' ? {} : { dryRun: 'All' } });
    return { status: 200, message: '' };
  } catch (error) {
    if (error instanceof ApiError) return { status: error.status, message: error.message };
    throw error;
  }
}

const pod = (spec: object, resources: object = { requests: { cpu: '10m', memory: '16Mi' } }) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'mine' },
  spec: {
    securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name: 'a',
        image: 'a',
        resources,
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    ],
    ...spec,
  },
});
const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: 'mine' } };
const ingress = (host: string) => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'Ingress',
  metadata: { name: 'mine' },
  spec: {
    rules: [
      {
        host,
        http: {
          paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'a', port: { number: 443 } } } }],
        },
      },
    ],
  },
});
const service = (spec: object) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'mine' },
  spec: { ports: [{ port: 443 }], ...spec },
});

const there = `/api/v1/namespaces/${others}`;
const here = `/api/v1/namespaces/${own}`;
const group = (api: string, namespace: string, rest: string) => `/apis/${api}/namespaces/${namespace}/${rest}`;

type Way = [what: string, ...request: Parameters<typeof answerTo>];

/** RBAC: the Role holds in one namespace, and has neither roles nor quotas nor the namespace in it. */
const byRbac: Way[] = [
  ["read a neighbour's Secrets", 'GET', `${there}/secrets`],
  ["read a neighbour's kubeconfig by its name", 'GET', `${there}/secrets/admin-kubeconfig`],
  ["see a neighbour's pods", 'GET', `${there}/pods`],
  ["see a neighbour's record", 'GET', `${there}/configmaps/k8sk8s`],
  ["enter a neighbour's etcd", 'POST', `${there}/pods/etcd-0/exec`],
  ["lead a port to a neighbour's etcd", 'POST', `${there}/pods/etcd-0/portforward`],
  ["read a neighbour's logs", 'GET', `${there}/pods/etcd-0/log`],
  ["make a pod in a neighbour's namespace", 'POST', `${there}/pods`, { body: pod({}) }],
  ["end a neighbour's etcd", 'DELETE', `${there}/pods/etcd-0`],
  [
    "stop a neighbour's API server",
    'PATCH',
    group('apps/v1', others, 'deployments/kube-apiserver'),
    { body: { spec: { replicas: 0 } } },
  ],
  [
    "take a neighbour's lock",
    'PATCH',
    group('coordination.k8s.io/v1', others, 'leases/k8sk8s'),
    { body: { spec: { holderIdentity: 'me' } } },
  ],
  ["open a neighbour's network", 'DELETE', group('networking.k8s.io/v1', others, 'networkpolicies/etcd')],
  ["have a token of a neighbour's account", 'POST', `${there}/serviceaccounts/default/token`, { body: {} }],
  [
    "change a neighbour's object of the operator",
    'PATCH',
    group('k8sk8s.io/v1alpha1', others, 'hostedcontrolplanes/k8sk8s'),
    { body: { spec: { asleep: true } } },
  ],
  ['see who else there is', 'GET', '/api/v1/namespaces'],
  ['see the pods of all', 'GET', '/api/v1/pods'],
  ['see the Secrets of all', 'GET', '/api/v1/secrets'],
  ['see the nodes', 'GET', '/api/v1/nodes'],
  ["ask a node's kubelet", 'GET', '/api/v1/nodes/infra-1/proxy/pods'],
  [
    'have a certificate of the infra cluster',
    'POST',
    '/apis/certificates.k8s.io/v1/certificatesigningrequests',
    { body: {} },
  ],
  [
    'bind more rights',
    'POST',
    group('rbac.authorization.k8s.io/v1', own, 'rolebindings'),
    {
      body: {
        ...rbac,
        kind: 'RoleBinding',
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      },
    },
  ],
  [
    'write more into the own Role',
    'PATCH',
    group('rbac.authorization.k8s.io/v1', own, 'roles/k8sk8s'),
    { body: { rules: [] } },
  ],
  [
    'have a larger quota',
    'PATCH',
    `${here}/resourcequotas/k8sk8s-class`,
    { body: { spec: { hard: { pods: '1000' } } } },
  ],
  ['have no quota', 'DELETE', `${here}/resourcequotas/k8sk8s-class-priority`],
  [
    'admit privileged pods',
    'PATCH',
    here,
    { body: { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } } } },
  ],
  ['own more HOSTs', 'PATCH', here, { body: { metadata: { annotations: { 'k8sk8s.io/hosts': 'bob.class.test' } } } }],
  ['say where a Service leads by hand', 'POST', group('discovery.k8s.io/v1', own, 'endpointslices'), { body: {} }],
  ["have a volume of a neighbour's", 'GET', '/api/v1/persistentvolumes'],
];

test.each(byRbac)('RBAC refuses to %s', async (_, ...attempt) => {
  expect(await answerTo(...attempt)).toMatchObject({
    status: 403,
    message: expect.stringMatching(/cannot \w+ resource/),
  });
});

const admission: [what: string, RegExp, ...request: Parameters<typeof answerTo>][] = [
  [
    'a privileged pod',
    /violates PodSecurity/,
    'POST',
    `${here}/pods`,
    { body: pod({ containers: [{ name: 'a', image: 'a', securityContext: { privileged: true } }] }) },
  ],
  [
    "a pod with the node's files",
    /violates PodSecurity/,
    'POST',
    `${here}/pods`,
    { body: pod({ volumes: [{ name: 'node', hostPath: { path: '/' } }] }) },
  ],
  ["a pod in the node's network", /violates PodSecurity/, 'POST', `${here}/pods`, { body: pod({ hostNetwork: true }) }],
  [
    "a pod that sees the node's processes",
    /violates PodSecurity/,
    'POST',
    `${here}/pods`,
    { body: pod({ hostPID: true }) },
  ],
  [
    'a pod that ends the pods of others on a full node',
    /exceeded quota: k8sk8s-class-priority/,
    'POST',
    `${here}/pods`,
    { body: pod({ priorityClassName: 'system-node-critical' }) },
  ],
  [
    'a pod that requests a whole node',
    /exceeded quota: k8sk8s-class/,
    'POST',
    `${here}/pods`,
    { body: pod({}, { requests: { cpu: '2', memory: '1Gi' } }) },
  ],
  ['a pod whose requests nobody counts', /must specify requests/, 'POST', `${here}/pods`, { body: pod({}, {}) }],
  [
    "an Ingress for a neighbour's HOST",
    /bob\.class\.test does not belong to namespace/,
    'POST',
    group('networking.k8s.io/v1', own, 'ingresses'),
    { body: ingress('bob.class.test') },
  ],
  [
    'an Ingress for every HOST',
    /takes requests for every HOST|wildcard/,
    'POST',
    group('networking.k8s.io/v1', own, 'ingresses'),
    { body: ingress('*.class.test') },
  ],
  [
    "a Service with a neighbour's address",
    /externalIPs may be addresses of others/,
    'POST',
    `${here}/services`,
    { body: service({ externalIPs: ['10.2.0.7'] }) },
  ],
];

test.each(admission)('the infra cluster does not admit %s', async (_, because, ...attempt) => {
  // A policy holds a moment after it was made.
  await expect
    .poll(() => answerTo(...attempt), soon)
    .toMatchObject({ status: expect.toBeOneOf([403, 422]), message: expect.stringMatching(because) });
});

test('what a plane needs is admitted, so what was refused was refused for its own sake', async () => {
  // Rights and quotas count a moment after they were made, too.
  const taken = (at: string, body: object) =>
    expect.poll(() => answerTo('POST', at, { body }), soon).toMatchObject({ status: 200 });
  await taken(`${here}/pods`, pod({}));
  await taken(`${here}/services`, service({}));
  await taken(group('networking.k8s.io/v1', own, 'ingresses'), ingress('anna.class.test'));
});

test('a token of the own account, and the name of a neighbour, open nothing there', async () => {
  const { status } = (await request(anna, 'POST', `${here}/serviceaccounts/default/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {},
  })) as { status: { token: string } };
  const { connection } = anna.transport;
  const account = connectInfra({ ...connection, credentials: { token: { text: status.token } } }, own);
  const asBob = connectInfra({ ...connection, impersonate: { user: `${name}-bob` } }, own);
  const asMaster = connectInfra({ ...connection, impersonate: { user: 'x', groups: ['system:masters'] } }, own);
  for (const as of [account, asBob, asMaster]) {
    expect(await answerTo('GET', `${there}/secrets`, { as })).toMatchObject({ status: 403 });
    await as.close();
  }
});
