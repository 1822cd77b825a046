import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { hostedControlPlane } from '../../src/config/hosted-control-plane.ts';
import { parseSpec } from '../../src/config/parse.ts';
import type { Connection } from '../../src/kube/connection.ts';
import type { ConfigMap, KubeObject, Lease, Workload } from '../../src/kube/objects.ts';
import { connectWhole, type WholeCluster } from '../../src/kube/whole-cluster.ts';
import { requireRecord } from '../../src/live/record.ts';
import { adoptPlane, releasePlane } from '../../src/operations/adopt.ts';
import { deploy } from '../../src/operations/deploy/deploy.ts';
import { accountObjects, applyObjects, operatorObjects, uninstall } from '../../src/operator/install.ts';
import { backupFinalizer, lookAnnotation, operatorName } from '../../src/operator/names.ts';
import type { Condition, HostedControlPlane } from '../../src/operator/object.ts';
import { runOperator } from '../../src/operator/run.ts';
import { operatorStatus } from '../../src/operator/status.ts';
import { planeKinds } from '../../src/plane/kinds.ts';
import { parseRecord, recordKind, toConfigMap } from '../../src/plane/record.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { refused } from '../refused.ts';
import { until as untilThere } from '../until.ts';
import { untilInstalled, untilOperatorMay } from './rights.ts';
import { type Delegate, newNamespace, request } from './world.ts';

/*
 * The operator as its own ServiceAccount, with the token that its pod would have. Nothing gives planes pods here, so a deploy does
 * not come to its end; test/e2e/operator.test.ts has whole lives. What that token may do, and whoever has a plane by its object alone, is in
 * operator-rights.test.ts.
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
  await until(() => admin.list(hostedControlPlane));
  await untilInstalled(admin, namespace);
  one = start('one');
});

afterAll(async () => {
  await Promise.allSettled(running.map((each) => each.stop()));
});

const until = <T>(look: () => Promise<T | undefined | false> | T | undefined | false) =>
  untilThere(look, { said: () => `the operator said:\n${log.join('\n')}` });

async function make(team: Delegate, spec: object): Promise<void> {
  await team.admin.create({ ...hostedControlPlane, metadata: { name: 'k8sk8s' }, spec } as KubeObject);
}

async function allow(team: Delegate): Promise<void> {
  await applyObjects(admin, accountObjects(team.name), quietReporter);
  await untilOperatorMay(admin, team.name);
}

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

test('an operator that is there before its rights says which one is missing, and goes on once it has it', async () => {
  const ofKind = (wanted: string) => operatorObjects(namespace).find(({ kind }) => kind === wanted)!;
  const [ofLease, ofObjects] = [ofKind('RoleBinding'), ofKind('ClusterRoleBinding')];
  await running.at(-1)!.stop();
  await Promise.all([admin.delete(ofLease), admin.delete(ofObjects)]);
  const its = connectWhole(operator);
  const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
  const isRefused = (asked: Promise<unknown>) =>
    asked.then(
      () => false,
      () => true,
    );
  await until(() => isRefused(its.get(lease, operatorName, namespace)));
  await until(() => isRefused(its.list(hostedControlPlane)));
  const said = (text: string) => log.some((line) => line.startsWith('four') && line.includes(text));
  start('four');
  await until(() => said('"get" on "leases"'));
  expect(leads('four')).toBe(false);
  await admin.apply(ofLease);
  await until(() => leads('four'));
  await until(() => said('"list" on "hostedcontrolplanes"'));
  await admin.apply(ofObjects);
  const team = await newNamespace();
  await make(team, { host: 'localhost' });
  await until(async () => (await condition(team, 'Degraded'))?.reason === 'NamespaceNotAllowed');
  await its.close();
});

test('status tells who leads and what is wrong, and uninstall leaves planes, objects and the definition', async () => {
  const team = await newNamespace();
  await make(team, { host: 'localhost' });
  await until(() => condition(team, 'Degraded'));
  const { leader, planes } = await operatorStatus(admin, namespace);
  expect(leader).toBe('four');
  const row = planes.find((each) => each.namespace === team.name);
  expect(row).toMatchObject({ host: 'localhost', degraded: 'True', progressing: 'NamespaceNotAllowed' });
  await uninstall(admin, namespace, quietReporter);
  expect(await team.admin.get(hostedControlPlane, 'k8sk8s')).toBeDefined();
  const role = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole' };
  expect(await admin.get(role, operatorName)).toBeUndefined();
  // What guards the objects stays with them.
  expect(await admin.get(role, 'k8sk8s-tenant')).toBeDefined();
  const policy = { apiVersion: 'admissionregistration.k8s.io/v1', kind: 'ValidatingAdmissionPolicy' };
  for (const name of ['k8sk8s-fields', 'k8sk8s-scale', 'k8sk8s-operator', 'k8sk8s-deletion', 'k8sk8s-definition'])
    expect(await admin.get(policy, name), name).toBeDefined();
  // A plane that is released does not go with its object.
  const owners = (await objectsOf(made)).flatMap(({ metadata }) => metadata.ownerReferences ?? []);
  expect(owners.filter(({ kind }) => kind === hostedControlPlane.kind)).toEqual([]);
});
