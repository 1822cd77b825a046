import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { scheduleBackups, unscheduleBackups } from '../../src/backup/schedule.ts';
import { hostedControlPlane } from '../../src/config/hosted-control-plane.ts';
import { connectInfra } from '../../src/kube/connect.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { ConfigMap, KubeObject } from '../../src/kube/objects.ts';
import { connectWhole } from '../../src/kube/whole-cluster.ts';
import { openPlane } from '../../src/live/open.ts';
import { renewCertificates } from '../../src/operations/keys/certificates.ts';
import { objectBefore, refuseUnmakeable, resetByObject } from '../../src/operator/class-by-object.ts';
import { uninstall } from '../../src/operator/install.ts';
import { KnownPlane } from '../../src/operator/known-plane.ts';
import {
  backupFinalizer,
  consentAnnotation,
  destinationLabel,
  lookAnnotation,
  operatorNamespace,
} from '../../src/operator/names.ts';
import type { Condition, HostedControlPlane } from '../../src/operator/object.ts';
import type { OperatorOptions } from '../../src/operator/options.ts';
import { operatorStatus } from '../../src/operator/status.ts';
import { issueClientAuthority } from '../../src/pki/issue.ts';
import { hostsAnnotation } from '../../src/plane/names.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { refused } from '../refused.ts';
import { asUser, looksSoFar, OperatorWorld } from './operator-process.ts';
import { bind } from './rights.ts';

// What an object says of a plane's life, with planes that sleep: nothing gives them pods here.

let world: OperatorWorld;
const ended = new AbortController();
let ran: Promise<void>;

beforeAll(async () => {
  world = await OperatorWorld.open();
  ran = world.run(ended.signal);
});

afterAll(async () => {
  ended.abort();
  await ran;
  await world?.close();
});

async function condition(inside: InfraCluster, type: Condition['type']): Promise<Condition | undefined> {
  const object = await inside.get<HostedControlPlane>(hostedControlPlane, 'k8sk8s');
  return object?.status?.conditions?.find((each) => each.type === type);
}

const degraded = (inside: InfraCluster, reason: string) =>
  world.until(async () => {
    const found = await condition(inside, 'Degraded');
    return found?.reason === reason && found;
  });

const namespaceKind = { apiVersion: 'v1', kind: 'Namespace' };

const look = (inside: InfraCluster) =>
  inside.merge(hostedControlPlane, 'k8sk8s', { metadata: { annotations: { [lookAnnotation]: `${Date.now()}` } } });

test('backups are made as the object says, to a place that an administrator has marked, and to no other', async () => {
  const inside = await world.sleepingPlane('backups');
  const cronJob = () =>
    inside.get<KubeObject & { spec: { schedule: string } }>(
      { apiVersion: 'batch/v1', kind: 'CronJob' },
      'k8sk8s-backup',
    );
  const change = (backup: object | null) => inside.merge(hostedControlPlane, 'k8sk8s', { spec: { backup } });
  await degraded(inside, 'AsExpected');
  // A Secret that there is, and that says nothing of backups.
  await change({ destination: 'k8sk8s-ca' });
  const unmarked = await degraded(inside, 'BackupDestination');
  await change({ destination: 'nowhere' });
  await world.until(async () => (await condition(inside, 'Degraded'))?.message.includes('nowhere'));
  const missing = (await condition(inside, 'Degraded'))!;
  expect(missing.message.replaceAll('nowhere', '')).toBe(unmarked.message.replaceAll('k8sk8s-ca', ''));
  expect(await cronJob()).toBeUndefined();
  const recipient = await identityToRecipient(await generateX25519Identity());
  await inside.create({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'offsite', labels: { [destinationLabel]: 'true' } },
    stringData: {
      recipients: `${recipient}\n`,
      url: 's3://backups/team',
      endpoint: 'https://s3.example.com',
      AWS_ACCESS_KEY_ID: 'a',
      AWS_SECRET_ACCESS_KEY: 'b',
    },
  } as KubeObject);
  await change({ destination: 'offsite', schedule: '30m' });
  await degraded(inside, 'AsExpected');
  expect((await world.until(cronJob)).spec.schedule).toBe('*/30 * * * *');
  // The command line does not work against the object.
  const to = { kind: 'volume' as const, size: '1Gi' };
  const request = { every: 3_600_000, keep: 1, recipients: [recipient], to, reporter: quietReporter };
  await expect(scheduleBackups(inside, request)).rejects.toEqual(refused('plane-follows-object'));
  await expect(unscheduleBackups(inside)).rejects.toEqual(refused('plane-follows-object'));
  await change(null);
  await world.until(async () => (await cronJob()) === undefined);
});

/** A place for backups, as an administrator makes one. */
async function destination(inside: InfraCluster, name: string): Promise<void> {
  const recipients = await identityToRecipient(await generateX25519Identity());
  await inside.create({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, labels: { [destinationLabel]: 'true' } },
    stringData: { recipients },
  } as KubeObject);
}

test('backups are made as the object says also while its other changes wait, or are refused', async () => {
  const inside = await world.sleepingPlane('waiting');
  const cronJob = () => inside.get({ apiVersion: 'batch/v1', kind: 'CronJob' }, 'k8sk8s-backup');
  await destination(inside, 'offsite');
  await degraded(inside, 'AsExpected');
  const change = (spec: object) => inside.merge(hostedControlPlane, 'k8sk8s', { spec });
  await change({ sans: ['more.example.com'], backup: { destination: 'nowhere' } });
  await degraded(inside, 'BackupDestination');
  expect(await condition(inside, 'Progressing')).toMatchObject({ reason: 'ChangesWhenAwake' });
  await change({ backup: { destination: 'offsite' } });
  await world.until(cronJob);
  await degraded(inside, 'AsExpected');
  // The volume with the backups stays when the object goes; one that an older k8sk8s made did not.
  const claimKind = { apiVersion: 'v1', kind: 'PersistentVolumeClaim' };
  const owners = async () => (await inside.get(claimKind, 'k8sk8s-backups'))!.metadata.ownerReferences ?? [];
  expect(await owners()).toEqual([]);
  const { uid } = (await inside.get(hostedControlPlane, 'k8sk8s'))!.metadata;
  const owner = { ...hostedControlPlane, name: 'k8sk8s', uid };
  await inside.merge(claimKind, 'k8sk8s-backups', { metadata: { ownerReferences: [owner] } });
  await look(inside);
  await world.until(async () => (await owners()).length === 0);
  // Times that there are none of.
  await change({ backup: null, sleepSchedule: { sleep: '99 19 * * *', wake: '0 7 * * *' } });
  await degraded(inside, 'BadValues');
  await world.until(async () => !(await cronJob()));
  await change({ backup: { destination: 'nowhere' } });
  const { message } = await world.until(async () => {
    const found = await condition(inside, 'Degraded');
    return found?.message.includes('nowhere') && found;
  });
  expect(message).toContain('sleepSchedule');
});

test('what was to be said of an object is not said of another one by its name', async () => {
  const inside = await world.namespace('reborn', { allowed: false });
  const read = async () => (await inside.get<HostedControlPlane>(hostedControlPlane, 'k8sk8s'))!;
  await world.object(inside, { host: 'one.example.com', paused: true });
  await world.until(async () => (await condition(inside, 'Progressing'))?.reason === 'Paused');
  const cluster = connectWhole(world.operator);
  const known = new KnownPlane(await read(), cluster, { log: () => undefined } as unknown as OperatorOptions);
  const fact = { type: 'Degraded', status: 'True', reason: 'OfTheFirst', message: 'said late' } as const;
  // Somebody else wrote the same object meanwhile.
  await inside.merge(hostedControlPlane, 'k8sk8s', { metadata: { labels: { other: 'hand' } } });
  await known.around(ended.signal).tell([fact]);
  expect(await condition(inside, 'Degraded')).toMatchObject({ reason: 'OfTheFirst' });
  await inside.delete(hostedControlPlane, 'k8sk8s');
  await world.object(inside, { host: 'two.example.com', paused: true });
  await known.around(ended.signal).tell([{ ...fact, message: 'said later' }]);
  expect(await condition(inside, 'Degraded')).toBeUndefined();
  await cluster.close();
});

test('a plane is not deleted to be made anew by somebody who could not make its object', async () => {
  const rbac = 'rbac.authorization.k8s.io';
  const inside = await world.sleepingPlane('again');
  const bind = (kind: string, name: string) =>
    inside.create({
      apiVersion: `${rbac}/v1`,
      kind: 'RoleBinding',
      metadata: { name: `teacher-${name}` },
      roleRef: { apiGroup: rbac, kind, name },
      subjects: [{ apiGroup: rbac, kind: 'User', name: 'teacher' }],
    } as KubeObject);
  await bind('ClusterRole', 'k8sk8s-tenant');
  await bind('Role', 'k8sk8s-plane');
  const teacher = await asUser(world, 'teacher', 'again');
  const files = { dir: 'none', force: true };
  const work = { reporter: quietReporter, timeout: 1000, signal: ended.signal };
  const reset = async () => resetByObject(teacher, await objectBefore(teacher), files, work);
  await world.admin.merge(namespaceKind, 'again', { metadata: { annotations: { [hostsAnnotation]: 'localhost' } } });
  const uids = async () => [
    (await inside.get(hostedControlPlane, 'k8sk8s'))?.metadata.uid,
    (await inside.get({ apiVersion: 'v1', kind: 'ConfigMap' }, 'k8sk8s'))?.metadata.uid,
  ];
  const before = await uids();
  const change = (spec: object) => inside.merge(hostedControlPlane, 'k8sk8s', { spec });
  // By the administrator, who may.
  await change({ replicas: 2 });
  await expect(reset()).rejects.toEqual(refused('class', 'spec.replicas'));
  await change({ replicas: null, paused: true });
  await expect(reset()).rejects.toEqual(refused('class', 'spec.paused'));
  expect(await uids()).toEqual(before);
  await change({ paused: false });
  // The one that there is uses the quota up, and leaves it to the next one.
  const hard = { 'count/hostedcontrolplanes.k8sk8s.io': '1' };
  const quota = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'one' }, spec: { hard } } as KubeObject;
  await inside.create(quota);
  const path = '/api/v1/namespaces/again/resourcequotas/one/status';
  const contentType = 'application/merge-patch+json';
  const body = { status: { hard, used: hard } };
  await inside.transport.request({ method: 'PATCH', path, contentType, body });
  await expect(refuseUnmakeable(teacher, await objectBefore(teacher))).resolves.toBeUndefined();
});

test('an object that is made again has the labels and annotations that others have given it', async () => {
  const inside = await world.sleepingPlane('noted');
  await degraded(inside, 'AsExpected');
  const tracking = { 'argocd.argoproj.io/tracking-id': 'school:k8sk8s.io/HostedControlPlane:noted/k8sk8s' };
  const labels = { 'app.kubernetes.io/instance': 'school' };
  const annotations = { ...tracking, [consentAnnotation]: '1', [lookAnnotation]: 'once' };
  await inside.merge(hostedControlPlane, 'k8sk8s', { metadata: { labels, annotations } });
  const { metadata: before } = (await inside.get(hostedControlPlane, 'k8sk8s'))!;
  const work = { reporter: quietReporter, timeout: 10_000, signal: ended.signal };
  // Nobody collects garbage here, nor gives the new plane pods.
  const collected = world.until(async () => {
    const object = await inside.get(hostedControlPlane, 'k8sk8s');
    if (object?.metadata.deletionTimestamp === undefined) return false;
    return inside.merge(hostedControlPlane, 'k8sk8s', { metadata: { finalizers: null } });
  });
  const reset = resetByObject(inside, await objectBefore(inside), { dir: 'none', force: true }, work);
  await expect(reset).rejects.toEqual(refused('object-not-made'));
  await collected;
  const { metadata: after } = (await inside.get(hostedControlPlane, 'k8sk8s'))!;
  expect(after.uid).not.toBe(before.uid);
  // A consent was to a change of the object that is gone.
  expect(after).toMatchObject({ labels });
  expect(after.annotations).toEqual(tracking);
  // Else the operator would go on trying, beside the tests that follow.
  await inside.merge(hostedControlPlane, 'k8sk8s', { spec: { paused: true } });
  await world.until(async () => (await condition(inside, 'Progressing'))?.reason === 'Paused');
});

test('a certificate that needs a sealed key is asked for in time, and was renewed when somebody with the key did it', async () => {
  const sealKey = { passphrase: 'a passphrase of the test' };
  const inside = await world.sleepingPlane('sealed', { seal: 'passphrase-file' }, sealKey);
  await degraded(inside, 'AsExpected');
  const byHand = connectInfra(inside.transport.connection, 'sealed', { sealKey });
  const { bundle } = await openPlane(byHand);
  const soon = await issueClientAuthority(bundle.authorities.ca!, 'kubernetes-signer sealed', {
    keyType: 'ec',
    days: 20,
  });
  const data = Object.fromEntries(
    Object.entries({ 'ca-signer.crt': soon.certificate, 'ca-signer.key': soon.key }).map(([name, text]) => [
      name,
      Buffer.from(text).toString('base64'),
    ]),
  );
  await inside.merge({ apiVersion: 'v1', kind: 'Secret' }, 'k8sk8s-ca', { data });
  await look(inside);
  const { message } = await degraded(inside, 'CertificateExpires');
  expect(message).toContain('ca-signer');
  expect(message).toContain('k8sk8s certs renew -n sealed --seal-file FILE');
  expect(await condition(inside, 'Progressing')).toMatchObject({ status: 'False' });
  const work = { reporter: quietReporter, timeout: 30_000, signal: ended.signal };
  await renewCertificates(byHand, [], work);
  await byHand.close();
  await look(inside);
  await degraded(inside, 'AsExpected');
});

test('status lists what an older policy, or an administrator, let in, and what tenants may have is not listed', async () => {
  const rbac = 'rbac.authorization.k8s.io';
  const tenant = async (name: string, kind: 'User' | 'Group', subject: string) => {
    const inside = await world.namespace(name);
    await bind(inside, { kind: 'ClusterRole', name: 'k8sk8s-tenant' }, { kind, name: subject });
    return inside;
  };
  const [anna, team, free] = [
    await tenant('of-anna', 'User', 'anna'),
    await tenant('of-a-team', 'Group', 'team'),
    await world.namespace('free'),
  ];
  // As the administrator, who may.
  await world.object(anna, { host: '192.0.2.1', expose: 'nodeport', replicas: 2, paused: true });
  await world.object(team, { host: 'other.example.com', paused: true });
  await world.object(free, { host: 'other.example.com', replicas: 2, paused: true });
  const { policies } = await operatorStatus(world.admin, operatorNamespace);
  expect(policies!.untested).toEqual([]);
  expect(policies!.beyond.map(({ namespace }) => namespace).sort()).toEqual(['of-a-team', 'of-anna']);
  const why = (namespace: string) => policies!.beyond.find((each) => each.namespace === namespace)?.why;
  expect(why('of-anna')).toMatch(/^spec\.replicas /);
  expect(why('of-a-team')).toMatch(/^spec\.host /);
  // An administrator of the namespace binds somebody who may write all.
  await bind(anna, { kind: 'ClusterRole', name: 'k8sk8s-tenant' }, { kind: 'Group', name: 'system:masters' });
  const hidden = (await operatorStatus(world.admin, operatorNamespace)).policies!.beyond;
  expect(hidden.find(({ namespace }) => namespace === 'of-anna')?.exceptFor).toEqual(['Group system:masters']);
  // A role of another name.
  const own = await world.namespace('of-own-role');
  const all = { apiGroups: ['k8sk8s.io'], resources: ['hostedcontrolplanes'], verbs: ['*'] };
  await own.create({ apiVersion: `${rbac}/v1`, kind: 'Role', metadata: { name: 'own' }, rules: [all] } as KubeObject);
  await bind(own, { kind: 'Role', name: 'own' }, { kind: 'User', name: 'bert' });
  await world.object(own, { host: '192.0.2.1', expose: 'nodeport', replicas: 2, paused: true });
  const { policies: third } = await operatorStatus(world.admin, operatorNamespace);
  expect(third!.beyond.map(({ namespace }) => namespace)).toContain('of-own-role');
  // Who is given the field has it by today's policy.
  const rules = [
    {
      apiGroups: ['k8sk8s.io'],
      resources: ['hostedcontrolplanes/fields'],
      resourceNames: ['replicas'],
      verbs: ['set'],
    },
  ];
  await anna.create({ apiVersion: `${rbac}/v1`, kind: 'Role', metadata: { name: 'fields' }, rules } as KubeObject);
  await bind(anna, { kind: 'Role', name: 'fields' }, { kind: 'User', name: 'anna' });
  const now = await operatorStatus(world.admin, operatorNamespace);
  expect(now.policies!.beyond.map(({ namespace }) => namespace)).not.toContain('of-anna');
  expect(now.policies!.untested).toEqual([]);
});

test('an object that is changed all the time takes no more than its share of looks', async () => {
  const inside = await world.sleepingPlane('restless');
  await degraded(inside, 'AsExpected');
  const before = await looksSoFar(inside);
  let changes = 0;
  const looks = await world.until(async () => {
    for (let some = 0; some < 5; some++, changes++) await look(inside);
    const sinceThen = (await looksSoFar(inside)) - before;
    return sinceThen >= 3 && sinceThen;
  });
  expect(changes, `${looks} looks`).toBeGreaterThan(3 * looks);
});

const ownedByObject = async (inside: InfraCluster) => {
  const record = await inside.get<ConfigMap>({ apiVersion: 'v1', kind: 'ConfigMap' }, 'k8sk8s');
  return record!.metadata.ownerReferences?.some(({ kind }) => kind === hostedControlPlane.kind) === true;
};

test('what becomes of a plane without its object is as the object says, also while its other changes are refused or it is paused', async () => {
  const inside = await world.sleepingPlane('policies');
  await degraded(inside, 'AsExpected');
  expect(await ownedByObject(inside)).toBe(true);
  const inForce = async () =>
    (await inside.get<HostedControlPlane>(hostedControlPlane, 'k8sk8s'))!.status?.deletionPolicy;
  expect(await inForce()).toBe('Delete');
  const change = (spec: object) => inside.merge(hostedControlPlane, 'k8sk8s', { spec });
  // From then on, and no earlier, the object may be deleted.
  const nowOwned = async (policy: string) => {
    await world.until(async () => (await inForce()) === policy);
    return ownedByObject(inside);
  };
  await change({ deletionPolicy: 'Backup' });
  expect(await nowOwned('Backup')).toBe(true);
  expect((await inside.get(hostedControlPlane, 'k8sk8s'))!.metadata.finalizers).toEqual([backupFinalizer]);
  await change({ deletionPolicy: 'Retain' });
  expect(await nowOwned('Retain')).toBe(false);
  await change({ deletionPolicy: 'Delete' });
  await world.until(() => nowOwned('Delete'));
  await change({ deletionPolicy: 'Retain', sleepSchedule: { sleep: '99 19 * * *', wake: '0 7 * * *' } });
  await degraded(inside, 'BadValues');
  expect(await ownedByObject(inside)).toBe(false);
  const paused = (generation: number) =>
    world.until(async () => {
      const { reason, observedGeneration } = (await condition(inside, 'Progressing'))!;
      return reason === 'Paused' && observedGeneration === generation;
    });
  await paused((await change({ paused: true, deletionPolicy: 'Backup' })).metadata.generation!);
  const finalizers = async () => (await inside.get(hostedControlPlane, 'k8sk8s'))!.metadata.finalizers;
  await world.until(async () => (await finalizers())?.includes(backupFinalizer));
  expect(await ownedByObject(inside)).toBe(true);
  await paused((await change({ deletionPolicy: 'Retain' })).metadata.generation!);
  await world.until(async () => (await finalizers()) === undefined);
  expect(await ownedByObject(inside)).toBe(false);
});

test('uninstall releases the planes of all namespaces but one whose record is damaged, names that, and leaves a namespace of others', async () => {
  const damaged = await world.sleepingPlane('a-damaged');
  const whole = await world.sleepingPlane('b-whole');
  await damaged.merge(hostedControlPlane, 'k8sk8s', { spec: { deletionPolicy: 'Backup' } });
  const finalizers = async () => (await damaged.get(hostedControlPlane, 'k8sk8s'))!.metadata.finalizers;
  await world.until(async () => (await finalizers())?.includes(backupFinalizer));
  await damaged.merge({ apiVersion: 'v1', kind: 'ConfigMap' }, 'k8sk8s', { data: { 'plane.json': '{' } });
  const label = 'app.kubernetes.io/part-of';
  await world.admin.merge(namespaceKind, operatorNamespace, { metadata: { labels: { [label]: null } } });
  ended.abort();
  await ran;
  const uninstalled = uninstall(world.admin, operatorNamespace, quietReporter);
  await expect(uninstalled).rejects.toEqual(refused('record-damaged', 'a-damaged'));
  expect(await ownedByObject(whole)).toBe(false);
  // Nobody is left to make the backup that it would wait for.
  expect(await finalizers()).toBeUndefined();
  const namespace = await world.admin.get(namespaceKind, operatorNamespace);
  expect(namespace?.metadata.deletionTimestamp).toBeUndefined();
  expect(namespace).toBeDefined();
});
