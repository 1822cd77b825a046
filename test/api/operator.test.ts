import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { hostedControlPlane } from '../../src/config/hosted-control-plane.ts';
import { parseSpec } from '../../src/config/parse.ts';
import { connectInfra } from '../../src/kube/connect.ts';
import type { Connection } from '../../src/kube/connection.ts';
import { ApiError } from '../../src/kube/errors.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { ConfigMap, KubeObject, Lease, Workload } from '../../src/kube/objects.ts';
import { connectWhole, type WholeCluster } from '../../src/kube/whole-cluster.ts';
import { requireRecord } from '../../src/live/record.ts';
import { adoptPlane, releasePlane } from '../../src/operations/adopt.ts';
import { deploy } from '../../src/operations/deploy/deploy.ts';
import { deletableAnnotation } from '../../src/operator/field-policy.ts';
import { accountObjects, addHosts, applyObjects, operatorObjects, uninstall } from '../../src/operator/install.ts';
import { accountOf, backupFinalizer, lookAnnotation, operatorName } from '../../src/operator/names.ts';
import type { Condition, HostedControlPlane } from '../../src/operator/object.ts';
import { runOperator } from '../../src/operator/run.ts';
import { operatorStatus } from '../../src/operator/status.ts';
import { planeKinds } from '../../src/plane/kinds.ts';
import { parseRecord, recordKind, toConfigMap } from '../../src/plane/record.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { connectByFile } from '../connect-by-file.ts';
import { refused } from '../refused.ts';
import { type Delegate, kubeconfigOf, newNamespace, request } from './world.ts';

/*
 * The operator as its own ServiceAccount, with the token that its pod would have. Nothing gives planes pods here, so a deploy does
 * not come to its end; test/e2e/operator.test.ts has whole lives.
 */

const { server, authority } = inject('api');
const namespace = `operator-${process.pid}`;
const log: string[] = [];
let admin: WholeCluster;
let operator: Connection;
let one: Started;
let two: Started;
const running: Started[] = [];

interface Started {
  ended: Promise<void>;
  stop(): Promise<void>;
}

function start(identity: string): Started {
  const ended = new AbortController();
  const ran = runOperator({
    connection: operator,
    namespace,
    identity,
    hostedBy: 'address',
    workers: 2,
    timeout: 3000,
    every: 60_000,
    backupPatience: 4000,
    signal: ended.signal,
    log: ({ plane, text }) => log.push(`${identity} ${plane ?? ''} ${text}`),
  });
  // Who waits for the end gets the error; nobody has to.
  ran.catch(() => undefined);
  const started = {
    ended: ran,
    async stop() {
      ended.abort();
      await ran;
    },
  };
  running.push(started);
  return started;
}

beforeAll(async () => {
  const team = await newNamespace();
  admin = connectWhole(team.admin.transport.connection);
  await applyObjects(admin, operatorObjects(namespace), quietReporter);
  const token = (await request(
    team.admin,
    'POST',
    `/api/v1/namespaces/${namespace}/serviceaccounts/${operatorName}/token`,
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {},
    },
  )) as { status: { token: string } };
  operator = {
    server,
    tls: { authorities: [authority.certificate] },
    credentials: { token: { text: token.status.token } },
  };
  await until(() =>
    admin.list(hostedControlPlane).then(
      () => true,
      () => false,
    ),
  );
  one = start('one');
});

afterAll(async () => {
  await Promise.allSettled(running.map((each) => each.stop()));
});

async function until<T>(done: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  for (let tries = 0; tries < 300; tries++) {
    const found = await done();
    if (found) return found;
    await sleep(100);
  }
  throw new Error(`waited in vain; the operator said:\n${log.join('\n')}`);
}

async function make(team: Delegate, spec: object): Promise<void> {
  await team.admin.create({ ...hostedControlPlane, metadata: { name: 'k8sk8s' }, spec } as KubeObject);
}

const allow = (team: Delegate) => applyObjects(admin, accountObjects(team.name), quietReporter);

async function condition(team: Delegate, type: Condition['type']): Promise<Condition | undefined> {
  const object = await team.admin.get<HostedControlPlane>(hostedControlPlane, 'k8sk8s');
  return object?.status?.conditions?.find((each) => each.type === type);
}

test('in a namespace that was not allowed it does nothing, and says who can allow it', async () => {
  const team = await newNamespace();
  await make(team, { host: 'localhost' });
  const degraded = await until(() => condition(team, 'Degraded'));
  expect(degraded).toMatchObject({ status: 'True', reason: 'NamespaceNotAllowed' });
  expect(degraded.message).toContain(`k8sk8s operator allow -n ${team.name}`);
  expect((await team.admin.list({ apiVersion: 'v1', kind: 'ConfigMap' })).items).toEqual([]);
});

/** The objects of a plane whose deploy does not come to its end. */
let made: Delegate;

async function objectsOf(team: Delegate): Promise<KubeObject[]> {
  const lists = await Promise.all(planeKinds.map((kind) => team.admin.list(kind)));
  return lists.flatMap(({ items }) => items).filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/part-of']);
}

test('once it is allowed, the plane is made as the account of its namespace, and goes with its object', async () => {
  const team = await newNamespace();
  made = team;
  await make(team, { host: 'localhost' });
  await until(async () => (await condition(team, 'Degraded'))?.reason === 'NamespaceNotAllowed');
  await allow(team);
  const degraded = await until(async () => {
    const found = await condition(team, 'Degraded');
    return found?.reason === 'NotAvailable' && found;
  });
  expect(degraded.message).toContain('docs/checks.md#not-available');
  const { uid } = (await team.admin.get<HostedControlPlane>(hostedControlPlane, 'k8sk8s'))!.metadata;
  const objects = await objectsOf(team);
  expect(objects.length).toBeGreaterThan(15);
  for (const { kind, metadata } of objects)
    expect(metadata.ownerReferences, `${kind} ${metadata.name}`).toMatchObject([
      { uid, kind: hostedControlPlane.kind },
    ]);
});

test('a spec that no plane can have is said in the object', async () => {
  const team = await newNamespace();
  await allow(team);
  await make(team, { host: 'localhost', apiServerArgs: ['etcd-servers=http://elsewhere'] });
  const progressing = await until(async () => {
    const found = await condition(team, 'Progressing');
    return found?.status === 'False' && found;
  });
  expect(progressing.message).toContain('spec.apiServerArgs');
});

test('a plane that is paused is left alone', async () => {
  const team = await newNamespace();
  await allow(team);
  await make(team, { host: 'localhost', paused: true });
  await until(async () => (await condition(team, 'Progressing'))?.reason === 'Paused');
  expect((await team.admin.list({ apiVersion: 'v1', kind: 'Secret' })).items).toEqual([]);
});

describe('a plane that the command line made', () => {
  const work = { reporter: quietReporter, timeout: 3000, signal: new AbortController().signal };
  const choose = () => parseSpec({ host: 'localhost' }, 'in a test');
  let team: Delegate;
  const owners = async () => (await objectsOf(team)).flatMap(({ metadata }) => metadata.ownerReferences ?? []);
  const uidOf = async () => (await team.admin.get<HostedControlPlane>(hostedControlPlane, 'k8sk8s'))!.metadata.uid!;

  beforeAll(async () => {
    team = await newNamespace();
    await allow(team);
    await expect(deploy(team.cluster, { ...work, choose, allowDataLoss: false })).rejects.toThrow();
    await make(team, { host: 'localhost', replicas: 2 });
  });

  test('is left alone by a new object, which says how it is adopted', async () => {
    const degraded = await until(async () => {
      const found = await condition(team, 'Degraded');
      return found?.reason === 'NotAdopted' && found;
    });
    expect(degraded.message).toContain(`k8sk8s adopt -n ${team.name}`);
    expect(await condition(team, 'Available')).toMatchObject({ status: 'False', reason: 'NotAdopted' });
    expect(await owners()).toEqual([]);
    const apiServer = await team.admin.get<Workload>({ apiVersion: 'apps/v1', kind: 'Deployment' }, 'kube-apiserver');
    expect(apiServer?.spec.replicas ?? 1).toBe(1);
  });

  test('is adopted by who may write the record, and follows the object then', async () => {
    const agreed = await requireRecord(team.cluster);
    const other = { ...agreed, planeId: 'plane-other' };
    const uid = await uidOf();
    await expect(adoptPlane(team.cluster, { ...work, uid, agreed: other })).rejects.toEqual(refused('plane-changed'));
    await adoptPlane(team.cluster, { ...work, uid, agreed });
    await team.admin.merge(hostedControlPlane, 'k8sk8s', { metadata: { annotations: { [lookAnnotation]: 'now' } } });
    await until(async () => (await condition(team, 'Degraded'))?.reason === 'NotAvailable');
    expect((await requireRecord(team.cluster)).planeId).toBe(agreed.planeId);
    expect((await owners()).every((owner) => owner.uid === uid)).toBe(true);
    // The deploy of the object may be under way.
    await until(
      () =>
        deploy(team.cluster, { ...work, choose, allowDataLoss: false }).catch(
          ({ anchor }) => anchor === 'plane-follows-object',
        ) as Promise<boolean>,
    );
  });

  test('is released, and does not go with its object any more', async () => {
    await until(() => releasePlane(team.cluster, work).catch(() => false));
    expect(await owners()).toEqual([]);
    await until(async () => {
      await team.admin.merge(hostedControlPlane, 'k8sk8s', {
        metadata: { annotations: { [lookAnnotation]: `${Date.now()}` } },
      });
      return (await condition(team, 'Degraded'))?.reason === 'NotAdopted';
    });
    expect(await owners()).toEqual([]);
  });
});

test('a GitOps program applies the object again and again without a conflict: the operator writes the status alone', async () => {
  const team = await newNamespace();
  await allow(team);
  const applied = (spec: object) =>
    team.admin.transport.request<HostedControlPlane>({
      method: 'PATCH',
      path: `/apis/k8sk8s.io/v1alpha1/namespaces/${team.name}/hostedcontrolplanes/k8sk8s`,
      query: { fieldManager: 'gitops' },
      body: { ...hostedControlPlane, metadata: { name: 'k8sk8s' }, spec },
      contentType: 'application/apply-patch+yaml',
    });
  await applied({ host: 'localhost' });
  await until(async () => (await condition(team, 'Degraded'))?.reason === 'NotAvailable');
  await applied({ host: 'localhost', sans: ['a.test'] });
  await until(async () => (await condition(team, 'Progressing'))?.observedGeneration === 2);
  const { body } = await applied({ host: 'localhost' });
  expect(body.spec.sans).toBeUndefined();
  for (const { manager, subresource } of body.metadata.managedFields ?? [])
    expect(subresource, manager).toBe(manager === 'gitops' ? undefined : 'status');
});

test('an object with the policy Backup waits for a last backup, says why there is none, and goes without one in time', async () => {
  const team = await newNamespace();
  await allow(team);
  await make(team, { host: 'localhost', deletionPolicy: 'Backup' });
  const object = () => team.admin.get<HostedControlPlane>(hostedControlPlane, 'k8sk8s');
  await until(async () => (await object())?.metadata.finalizers?.includes(backupFinalizer));
  await until(async () => (await condition(team, 'Degraded'))?.reason === 'NotAvailable');
  const record = (await team.admin.get<ConfigMap>(recordKind, 'k8sk8s'))!;
  await team.admin.replace({ ...record, data: toConfigMap({ ...parseRecord(record)!, phase: 'available' }).data });
  await team.admin.delete(hostedControlPlane, 'k8sk8s');
  const degraded = await until(async () => {
    const found = await condition(team, 'Degraded');
    return found?.reason === 'LastBackup' && found;
  });
  expect(degraded.message).toContain(`k8sk8s backup schedule -n ${team.name}`);
  expect(degraded.message).toContain('/metadata/finalizers');
  await until(async () => (await object()) === undefined);
});

test('at its end a plane is deleted, and its object says so', async () => {
  const team = await newNamespace();
  await allow(team);
  await make(team, { host: 'localhost' });
  await until(async () => (await condition(team, 'Degraded'))?.reason === 'NotAvailable');
  expect((await objectsOf(team)).length).toBeGreaterThan(15);
  const expiresAt = new Date(Date.now() + 2000).toISOString();
  await team.admin.merge(hostedControlPlane, 'k8sk8s', { spec: { expiresAt } });
  await until(async () => (await condition(team, 'Progressing'))?.reason === 'Expired');
  expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(expiresAt));
  expect(await objectsOf(team)).toEqual([]);
  expect(await condition(team, 'Degraded')).toMatchObject({ status: 'False' });
});

const leads = (identity: string) => log.includes(`${identity}  ${identity} leads`);

test('of two operators one works, and the other takes over', async () => {
  two = start('two');
  await until(() => log.some((line) => line.startsWith('two') && line.includes('waits')));
  // Longer than a try for the lease takes.
  await sleep(2500);
  expect(leads('two')).toBe(false);
  await one.stop();
  await until(() => leads('two'));
  const held = (await admin.get<Lease>(
    { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' },
    operatorName,
    namespace,
  ))!;
  expect(held.spec.holderIdentity).toBe('two');
});

test('an operator whose lease another one has taken ends, and the next one goes on', async () => {
  const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
  const hold = async (holderIdentity: string) => {
    const held = (await admin.get<Lease>(lease, operatorName, namespace))!;
    return admin.replace({ ...held, spec: { ...held.spec, holderIdentity } }).catch(() => undefined);
  };
  await until(() => hold('a thief'));
  await expect(two.ended).rejects.toEqual(refused('leadership-lost', 'a thief'));
  await until(() => hold(''));
  start('three');
  await until(() => leads('three'));
});

describe("the operator's token", () => {
  let team: Delegate;
  beforeAll(async () => {
    team = await newNamespace();
    await allow(team);
    await make(team, { host: 'localhost', paused: true });
  });

  const answer = async (
    connection: Connection,
    method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH',
    path: string,
    body?: object,
  ) => {
    const cluster = connectInfra(connection, team.name);
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
  const own = (path: string) => `/apis/k8sk8s.io/v1alpha1/namespaces/${team.name}/hostedcontrolplanes/k8sk8s${path}`;

  test.each<[string, 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH', (name: string) => string]>([
    ['read Secrets of all namespaces', 'GET', () => '/api/v1/secrets'],
    ['read Secrets of an allowed namespace', 'GET', (name) => `/api/v1/namespaces/${name}/secrets`],
    ['read Secrets of its own namespace', 'GET', () => `/api/v1/namespaces/${namespace}/secrets`],
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
    ['take another lease beside its own', 'POST', () => `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`],
  ])('does not let it %s', async (_what, method, path) => {
    expect(await answer(operator, method, path(team.name), method === 'GET' ? undefined : {})).toBe(403);
  });

  test('does not let it change anything of an object but its own finalizer', async () => {
    for (const body of [
      { spec: { host: 'other' } },
      { metadata: { annotations: { a: 'b' } } },
      { metadata: { labels: { a: 'b' } } },
      { metadata: { finalizers: ['example.com/other'] } },
    ])
      expect(await answer(operator, 'PATCH', own(''), body), JSON.stringify(body)).toBe(403);
    expect(await answer(operator, 'PATCH', own(''), { metadata: { finalizers: [backupFinalizer] } })).toBe('allowed');
    expect(await answer(operator, 'PATCH', own(''), { metadata: { finalizers: [] } })).toBe('allowed');
  });

  test('lets it say what it has seen', async () => {
    expect(await answer(operator, 'PATCH', own('/status'), { status: {} })).toBe('allowed');
  });

  const secrets = () => `/api/v1/namespaces/${team.name}/secrets`;
  const as = (user: string, groups?: string[]): Connection => ({ ...operator, impersonate: { user, groups } });

  test('lets it be the account of a namespace', async () => {
    expect(await answer(as(accountOf(team.name)), 'GET', secrets())).toBe('allowed');
  });

  test('does not let it be that account elsewhere, or with more groups, or anybody else', async () => {
    const other = await newNamespace();
    expect(await answer(as(accountOf(team.name)), 'GET', `/api/v1/namespaces/${other.name}/secrets`)).toBe(403);
    // Not allowed there: it is nobody.
    expect(await answer(as(accountOf(other.name)), 'GET', `/api/v1/namespaces/${other.name}/secrets`)).toBe(403);
    expect(await answer(as(accountOf(team.name), ['system:masters']), 'GET', secrets())).toBe(403);
    expect(await answer(as(`system:serviceaccount:${team.name}:default`), 'GET', secrets())).toBe(403);
    expect(await answer(as('admin'), 'GET', secrets())).toBe(403);
    expect(await answer(as('system:admin', ['system:masters']), 'GET', secrets())).toBe(403);
  });
});

describe('who has a plane by its object alone', () => {
  let team: Delegate;
  let tenant: InfraCluster;

  beforeAll(async () => {
    team = await newNamespace({ annotations: { 'k8sk8s.io/hosts': 'k.example.com, *.team.example.com' } });
    const user = `tenant-of-${team.name}`;
    tenant = connectByFile(await kubeconfigOf(user, team.name), team.name);
    await team.admin.create({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'tenant' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'k8sk8s-tenant' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
    } as KubeObject);
    // A policy holds a moment after it was made.
    await until(async () => (await tries({ etcdImage: 'own/etcd:1' }))?.status === 403);
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
    await addHosts(admin, team.name, ['other.example.com', 'k.example.com'], quietReporter);
    await until(async () => (await tries({ host: 'other.example.com' })) === undefined);
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
    await team.admin.create(object({ replicas: 2 }));
    const change = (spec: object) =>
      tenant.merge(hostedControlPlane, 'k8sk8s', { spec }, { dryRun: true }).then(
        () => undefined,
        (error: ApiError) => error.status,
      );
    expect(await change({ asleep: true })).toBeUndefined();
    expect(await change({ replicas: 1 })).toBe(403);
    expect(await change({ replicas: null })).toBe(403);
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
    await team.admin.create({ ...rbac, kind: 'Role', ...name, rules } as KubeObject);
    await team.admin.create({
      ...rbac,
      kind: 'RoleBinding',
      ...name,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'replicas' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: `tenant-of-${team.name}` }],
    } as KubeObject);
    await until(async () => (await tries({ resources: ['none'] }))?.status !== 403);
    expect(await tries({ etcdImage: 'own/etcd:1' })).toMatchObject({ status: 403 });
  });

  test('does not go round it by /scale, which the right to the field opens', async () => {
    const scaler = `scaler-of-${team.name}`;
    const by = connectByFile(await kubeconfigOf(scaler, team.name), team.name);
    const scale = () =>
      by.transport
        .request({
          method: 'PATCH',
          path: `/apis/k8sk8s.io/v1alpha1/namespaces/${team.name}/hostedcontrolplanes/k8sk8s/scale`,
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
      await team.admin.create({ ...rbac, kind: 'Role', rules } as KubeObject);
      await team.admin.create({
        ...rbac,
        kind: 'RoleBinding',
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: scaler }],
      } as KubeObject);
    };
    await give('scale', 'hostedcontrolplanes/scale', 'patch');
    await until(async () => (await scale())?.includes('spec.replicas'));
    await give('scale-field', 'hostedcontrolplanes/fields', 'set', ['replicas']);
    await until(async () => (await scale()) === undefined);
  });

  test('reads no Secret but the one that leads into the plane', async () => {
    const code = (name: string) => tenant.get({ apiVersion: 'v1', kind: 'Secret' }, name).catch(({ status }) => status);
    expect(await code('admin-kubeconfig')).toBeUndefined();
    expect(await code('k8sk8s-ca')).toBe(403);
    await expect(tenant.list({ apiVersion: 'v1', kind: 'Secret' })).rejects.toMatchObject({ status: 403 });
  });
});

test('the definition is deleted by nobody in passing, since every plane would go with it', async () => {
  const definition = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition' };
  const object = (await admin.get<KubeObject>(definition, 'hostedcontrolplanes.k8sk8s.io'))!;
  await expect(admin.delete({ ...object, metadata: { name: object.metadata.name } })).rejects.toMatchObject({
    message: expect.stringContaining(deletableAnnotation),
  });
});

test('status tells who leads and what is wrong, and uninstall leaves planes, objects and the definition', async () => {
  const team = await newNamespace();
  await make(team, { host: 'localhost' });
  await until(() => condition(team, 'Degraded'));
  const { leader, planes } = await operatorStatus(admin, namespace);
  expect(leader).toBe('three');
  const row = planes.find((each) => each.namespace === team.name);
  expect(row).toMatchObject({ host: 'localhost', degraded: 'True', progressing: 'NamespaceNotAllowed' });
  await uninstall(admin, namespace, quietReporter);
  expect(await team.admin.get(hostedControlPlane, 'k8sk8s')).toBeDefined();
  const role = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole' };
  expect(await admin.get(role, operatorName)).toBeUndefined();
  // What guards the objects stays with them.
  expect(await admin.get(role, 'k8sk8s-tenant')).toBeDefined();
  const policy = { apiVersion: 'admissionregistration.k8s.io/v1', kind: 'ValidatingAdmissionPolicy' };
  for (const name of ['k8sk8s-fields', 'k8sk8s-scale', 'k8sk8s-operator', 'k8sk8s-definition'])
    expect(await admin.get(policy, name), name).toBeDefined();
  // A plane that is released does not go with its object.
  const owners = (await objectsOf(made)).flatMap(({ metadata }) => metadata.ownerReferences ?? []);
  expect(owners.filter(({ kind }) => kind === hostedControlPlane.kind)).toEqual([]);
});
