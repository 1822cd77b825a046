import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hostedControlPlane } from '../../src/config/hosted-control-plane.ts';
import { connectInfra } from '../../src/kube/connect.ts';
import type { Connection } from '../../src/kube/connection.ts';
import { ApiError } from '../../src/kube/errors.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { deletableAnnotation } from '../../src/operator/field-policy.ts';
import { addHosts } from '../../src/operator/install.ts';
import { accountOf, backupFinalizer, operatorNamespace } from '../../src/operator/names.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { asUser, OperatorWorld } from './operator-process.ts';
import { bind } from './rights.ts';

/*
 * Who may do what where the operator is installed: whoever holds its token, and whoever has a plane by its object alone. No operator runs
 * here. The API server is this file's own, since the operator's rights and policies are those of a whole cluster.
 */

let world: OperatorWorld;

beforeAll(async () => {
  world = await OperatorWorld.open();
}, 180_000);

afterAll(() => world?.close());

describe("the operator's token", () => {
  let team: InfraCluster;
  beforeAll(async () => {
    team = await world.namespace('token');
    await world.object(team, { host: 'localhost', paused: true });
  });

  const answer = async (
    connection: Connection,
    method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH',
    path: string,
    body?: object,
  ) => {
    const cluster = connectInfra(connection, team.namespace);
    try {
      await cluster.transport.request({
        method,
        path,
        body,
        contentType: method === 'PATCH' ? 'application/merge-patch+json' : undefined,
      });
      return 'allowed';
    } catch (error) {
      return error instanceof ApiError ? error.status : error;
    } finally {
      await cluster.close();
    }
  };
  const own = (path: string) =>
    `/apis/k8sk8s.io/v1alpha1/namespaces/${team.namespace}/hostedcontrolplanes/k8sk8s${path}`;

  test.each<[string, 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH', (name: string) => string]>([
    ['read Secrets of all namespaces', 'GET', () => '/api/v1/secrets'],
    ['read Secrets of an allowed namespace', 'GET', (name) => `/api/v1/namespaces/${name}/secrets`],
    ['read Secrets of its own namespace', 'GET', () => `/api/v1/namespaces/${operatorNamespace}/secrets`],
    ['read pods', 'GET', () => '/api/v1/pods'],
    ['read ConfigMaps', 'GET', (name) => `/api/v1/namespaces/${name}/configmaps`],
    ['read namespaces', 'GET', () => '/api/v1/namespaces'],
    ['bind roles', 'POST', () => '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings'],
    [
      'bind roles in a namespace',
      'POST',
      (name) => `/apis/rbac.authorization.k8s.io/v1/namespaces/${name}/rolebindings`,
    ],
    ['make tokens of the account', 'POST', (name) => `/api/v1/namespaces/${name}/serviceaccounts/k8sk8s-plane/token`],
    ['delete an object', 'DELETE', (name) => `/apis/k8sk8s.io/v1alpha1/namespaces/${name}/hostedcontrolplanes/k8sk8s`],
    [
      'change the definition',
      'PATCH',
      () => '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/hostedcontrolplanes.k8sk8s.io',
    ],
    ['take the lease of a plane', 'GET', (name) => `/apis/coordination.k8s.io/v1/namespaces/${name}/leases/k8sk8s`],
    [
      'take another lease beside its own',
      'POST',
      () => `/apis/coordination.k8s.io/v1/namespaces/${operatorNamespace}/leases`,
    ],
  ])('does not let it %s', async (_what, method, path) => {
    expect(await answer(world.operator, method, path(team.namespace), method === 'GET' ? undefined : {})).toBe(403);
  });

  test('does not let it change anything of an object but its own finalizer', async () => {
    for (const body of [
      { spec: { host: 'other' } },
      { metadata: { annotations: { a: 'b' } } },
      { metadata: { labels: { a: 'b' } } },
      { metadata: { finalizers: ['example.com/other'] } },
    ])
      expect(await answer(world.operator, 'PATCH', own(''), body), JSON.stringify(body)).toBe(403);
    expect(await answer(world.operator, 'PATCH', own(''), { metadata: { finalizers: [backupFinalizer] } })).toBe(
      'allowed',
    );
    expect(await answer(world.operator, 'PATCH', own(''), { metadata: { finalizers: [] } })).toBe('allowed');
  });

  test('lets it say what it has seen', async () => {
    expect(await answer(world.operator, 'PATCH', own('/status'), { status: {} })).toBe('allowed');
  });

  const secrets = () => `/api/v1/namespaces/${team.namespace}/secrets`;
  const as = (user: string, groups?: string[]): Connection => ({ ...world.operator, impersonate: { user, groups } });

  test('lets it be the account of a namespace', async () => {
    expect(await answer(as(accountOf(team.namespace)), 'GET', secrets())).toBe('allowed');
  });

  test('does not let it be that account elsewhere, or with more groups, or anybody else', async () => {
    const other = await world.namespace('other', { allowed: false });
    expect(await answer(as(accountOf(team.namespace)), 'GET', `/api/v1/namespaces/${other.namespace}/secrets`)).toBe(
      403,
    );
    // Not allowed there: it is nobody.
    expect(await answer(as(accountOf(other.namespace)), 'GET', `/api/v1/namespaces/${other.namespace}/secrets`)).toBe(
      403,
    );
    expect(await answer(as(accountOf(team.namespace), ['system:masters']), 'GET', secrets())).toBe(403);
    expect(await answer(as(`system:serviceaccount:${team.namespace}:default`), 'GET', secrets())).toBe(403);
    expect(await answer(as('admin'), 'GET', secrets())).toBe(403);
    expect(await answer(as('system:admin', ['system:masters']), 'GET', secrets())).toBe(403);
  });
});

describe('who has a plane by its object alone', () => {
  let team: InfraCluster;
  let tenant: InfraCluster;

  beforeAll(async () => {
    const annotations = { 'k8sk8s.io/hosts': 'k.example.com, *.team.example.com' };
    team = await world.namespace('tenant', { allowed: false, annotations });
    const user = `tenant-of-${team.namespace}`;
    tenant = await asUser(world, user, team.namespace);
    await bind(team, { kind: 'ClusterRole', name: 'k8sk8s-tenant' }, { kind: 'User', name: user });
  });

  const object = (spec: object) =>
    ({ ...hostedControlPlane, metadata: { name: 'k8sk8s' }, spec: { host: 'k.example.com', ...spec } }) as KubeObject;

  const tries = async (spec: object): Promise<ApiError | undefined> => {
    try {
      await tenant.create(object(spec), { dryRun: true });
      return undefined;
    } catch (error) {
      return error as ApiError;
    }
  };

  test.each<[string, unknown]>([
    ['etcdImage', 'own/etcd:1'],
    ['imageRegistry', 'mirror.test'],
    ['imagePullSecret', 'other'],
    ['apiServerArgs', ['v=9']],
    ['featureGates', { X: 'true' }],
    ['nodeSelector', { a: 'b' }],
    ['tolerations', ['a']],
    ['resources', ['none']],
    ['replicas', 5],
    ['etcdMembers', 5],
    ['etcdStorage', '900Gi'],
    ['etcdStorageClass', 'fast'],
    ['ingressClass', 'other'],
    ['ingressAnnotations', { a: 'b' }],
    ['nodePort', 30443],
    ['allowEgress', ['10.0.0.0/8']],
  ])('does not choose %s', async (field, value) => {
    const error = await tries({ [field]: value });
    expect(error).toMatchObject({ status: 403, message: expect.stringContaining(`spec.${field}`) });
  });

  test.each(['k.example.com', 'any.team.example.com', '192.0.2.7'])('has the host %s', async (host) => {
    expect(await tries({ host, expose: 'nodeport' })).toBeUndefined();
  });

  test.each(['other.example.com', 'team.example.com', 'xteam.example.com'])('has not the host %s', async (host) => {
    expect(await tries({ host })).toMatchObject({ status: 403, message: expect.stringContaining('k8sk8s.io/hosts') });
  });

  test('is given another host by an administrator, who adds it to those of the namespace', async () => {
    await addHosts(world.admin, team.namespace, ['other.example.com', 'k.example.com'], quietReporter);
    await world.until(async () => (await tries({ host: 'other.example.com' })) === undefined);
    expect(await tries({ host: 'any.team.example.com' })).toBeUndefined();
  });

  test('chooses the rest', async () => {
    const spec = {
      kubernetesVersion: '1.36',
      expose: 'nodeport',
      podCidr: '10.4.0.0/16',
      asleep: true,
      sans: ['a.test'],
    };
    expect(await tries(spec)).toBeUndefined();
  });

  test('keeps what an administrator chose, and neither changes it nor takes it out', async () => {
    await team.create(object({ replicas: 2 }));
    const change = (spec: object) =>
      tenant.merge(hostedControlPlane, 'k8sk8s', { spec }, { dryRun: true }).then(
        () => undefined,
        (error: ApiError) => error.status,
      );
    expect(await change({ asleep: true })).toBeUndefined();
    expect(await change({ replicas: 1 })).toBe(403);
    expect(await change({ replicas: null })).toBe(403);
  });

  test('takes out more names that it has, also those that are not its own, and puts none in', async () => {
    const change = (spec: object) =>
      tenant.merge(hostedControlPlane, 'k8sk8s', { spec }, { dryRun: true }).then(
        () => undefined,
        (error: ApiError) => error.status,
      );
    await team.merge(hostedControlPlane, 'k8sk8s', { spec: { moreHosts: ['foreign.example.com'] } });
    expect(await change({ moreHosts: null })).toBeUndefined();
    expect(await change({ moreHosts: ['foreign.example.com', 'other.test'] })).toBe(403);
    expect(await change({ moreHosts: ['any.team.example.com'] })).toBeUndefined();
  });

  test('is given a single field by RBAC', async () => {
    const name = { metadata: { name: 'replicas' } };
    const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1' };
    const rules = [
      {
        apiGroups: ['k8sk8s.io'],
        resources: ['hostedcontrolplanes/fields'],
        resourceNames: ['resources'],
        verbs: ['set'],
      },
    ];
    await team.create({ ...rbac, kind: 'Role', ...name, rules } as KubeObject);
    await bind(team, { kind: 'Role', name: 'replicas' }, { kind: 'User', name: `tenant-of-${team.namespace}` });
    expect((await tries({ resources: ['none'] }))?.status).not.toBe(403);
    expect(await tries({ etcdImage: 'own/etcd:1' })).toMatchObject({ status: 403 });
  });

  test('does not go round it by /scale, which the right to the field opens', async () => {
    const scaler = `scaler-of-${team.namespace}`;
    const by = await asUser(world, scaler, team.namespace);
    const scale = () =>
      by.transport
        .request({
          method: 'PATCH',
          path: `/apis/k8sk8s.io/v1alpha1/namespaces/${team.namespace}/hostedcontrolplanes/k8sk8s/scale`,
          query: { dryRun: 'All' },
          body: { spec: { replicas: 3 } },
          contentType: 'application/merge-patch+json',
        })
        .then(
          () => undefined,
          (error: ApiError) => error.message,
        );
    const give = async (name: string, resource: string, verb: string, resourceNames?: string[]) => {
      const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name } };
      const rules = [{ apiGroups: ['k8sk8s.io'], resources: [resource], resourceNames, verbs: [verb] }];
      await team.create({ ...rbac, kind: 'Role', rules } as KubeObject);
      await bind(team, { kind: 'Role', name }, { kind: 'User', name: scaler });
    };
    await give('scale', 'hostedcontrolplanes/scale', 'patch');
    expect(await scale()).toContain('spec.replicas');
    await give('scale-field', 'hostedcontrolplanes/fields', 'set', ['replicas']);
    expect(await scale()).toBeUndefined();
  });

  test('reads no Secret but the one that leads into the plane', async () => {
    const code = (name: string) => tenant.get({ apiVersion: 'v1', kind: 'Secret' }, name).catch(({ status }) => status);
    expect(await code('admin-kubeconfig')).toBeUndefined();
    expect(await code('k8sk8s-ca')).toBe(403);
    await expect(tenant.list({ apiVersion: 'v1', kind: 'Secret' })).rejects.toMatchObject({ status: 403 });
  });
});

describe('an object is not deleted before what it says of its plane is in force', () => {
  const inForce = (inside: InfraCluster, deletionPolicy: string | null) =>
    world.admin.mergeStatus(
      { ...hostedControlPlane, metadata: { name: 'k8sk8s', namespace: inside.namespace } },
      { deletionPolicy },
    );
  const says = (inside: InfraCluster, deletionPolicy: string | null) =>
    inside.merge(hostedControlPlane, 'k8sk8s', { spec: { deletionPolicy } });
  const deletion = (inside: InfraCluster, propagationPolicy = 'Background', name = '/k8sk8s') =>
    inside.transport
      .request({
        method: 'DELETE',
        path: `/apis/k8sk8s.io/v1alpha1/namespaces/${inside.namespace}/hostedcontrolplanes${name}`,
        query: { dryRun: 'All', propagationPolicy },
      })
      .then(
        () => 'allowed',
        ({ message }: ApiError) => message,
      );
  const refused = expect.stringContaining('status.deletionPolicy');

  test('with Retain or Backup where the plane would go by another one, alone or among others; with Delete at any time', async () => {
    const inside = await world.namespace('not-in-force', { allowed: false });
    await world.object(inside, { host: 'localhost', deletionPolicy: 'Retain' });
    // Nothing was made for it.
    expect(await deletion(inside)).toBe('allowed');
    for (const [said, has, answer] of [
      ['Retain', 'Delete', refused],
      ['Retain', 'Backup', refused],
      ['Retain', 'Retain', 'allowed'],
      ['Backup', 'Delete', refused],
      ['Backup', 'Backup', 'allowed'],
      ['Delete', 'Retain', 'allowed'],
      [null, 'Retain', 'allowed'],
      ['Retain', null, 'allowed'],
    ] as const) {
      await says(inside, said);
      await inForce(inside, has);
      expect(await deletion(inside), `${said} of ${has}`).toEqual(answer);
      expect(await deletion(inside, 'Foreground'), `${said} of ${has}`).toEqual(answer);
      expect(await deletion(inside, 'Background', ''), `${said} of ${has}`).toEqual(answer);
      // Nothing goes with it.
      expect(await deletion(inside, 'Orphan'), `${said} of ${has}`).toBe('allowed');
    }
  });

  test('and in a namespace that ends it keeps nothing', async () => {
    const inside = await world.namespace('ending', { allowed: false });
    await world.object(inside, { host: 'localhost', deletionPolicy: 'Retain' });
    await inForce(inside, 'Delete');
    expect(await deletion(inside)).toEqual(refused);
    await world.admin.delete({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: inside.namespace } });
    await world.until(async () => (await deletion(inside)) === 'allowed');
  });
});

test('the definition is deleted by nobody in passing, since every plane would go with it', async () => {
  const definition = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition' };
  const object = (await world.admin.get<KubeObject>(definition, 'hostedcontrolplanes.k8sk8s.io'))!;
  await expect(world.admin.delete({ ...object, metadata: { name: object.metadata.name } })).rejects.toMatchObject({
    message: expect.stringContaining(deletableAnnotation),
  });
  // Nor among others, of which the request names none.
  const collection = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const query = { fieldSelector: `metadata.name=${object.metadata.name}`, dryRun: 'All' };
  const all = world.admin.transport.request({ method: 'DELETE', path: collection, query });
  await expect(all).rejects.toMatchObject({ message: expect.stringContaining(deletableAnnotation) });
});
