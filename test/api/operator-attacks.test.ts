import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hostedControlPlane } from '../../src/config/hosted-control-plane.ts';
import type { ApiError } from '../../src/kube/errors.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { ConfigMap, KubeObject, OwnerReference } from '../../src/kube/objects.ts';
import { destinationLabel, lookAnnotation, planeAccount } from '../../src/operator/names.ts';
import type { HostedControlPlane } from '../../src/operator/object.ts';
import { planeKinds } from '../../src/plane/kinds.ts';
import { objectAnnotation } from '../../src/plane/names.ts';
import { parseRecord, recordKind, toConfigMap } from '../../src/plane/record.ts';
import { ensureBinaries } from '../../src/sandbox/artifacts/ensure.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { runsAllOf } from '../test-all.ts';
import { asUser, looksSoFar, OperatorWorld } from './operator-process.ts';
import { bind } from './rights.ts';

/*
 * Somebody with `edit` in the namespace of a plane that follows an object tries to reach others by it: by owners, with the garbage
 * collector and the namespace controller of Kubernetes, and by addresses that the operator would dial. The operator is a process.
 */

let world: OperatorWorld;
let controllers: ChildProcess;

const secretKind = { apiVersion: 'v1', kind: 'Secret' };
const namespaceKind = { apiVersion: 'v1', kind: 'Namespace' };

async function startControllers(): Promise<ChildProcess> {
  const programs = await ensureBinaries(['kube-controller-manager'], {}, terminalReporter());
  const file = await world.plane.kubeconfig('controllers', ['system:masters']);
  const flags = ['--controllers=garbage-collector-controller,namespace-controller', '--leader-elect=false'];
  return spawn(programs['kube-controller-manager'], [`--kubeconfig=${file}`, '--secure-port=0', ...flags], {
    stdio: 'ignore',
  });
}

const objectOf = async (inside: InfraCluster) =>
  (await inside.get<HostedControlPlane>(hostedControlPlane, 'k8sk8s')) as HostedControlPlane;

const reasonOf = async (inside: InfraCluster, type: string) =>
  (await objectOf(inside)).status?.conditions?.find((each) => each.type === type)?.reason;

const change = (inside: InfraCluster, spec: object) => inside.merge(hostedControlPlane, 'k8sk8s', { spec });

/** The delegated administrator of a namespace: the rights of the account, and none elsewhere. */
async function editorOf(inside: InfraCluster): Promise<(namespace: string) => Promise<InfraCluster>> {
  const user = `editor-of-${inside.namespace}`;
  await bind(inside, { kind: 'Role', name: planeAccount }, { kind: 'User', name: user });
  return (namespace) => asUser(world, user, namespace);
}

/** Of the objects of planes. */
async function uidsIn(inside: InfraCluster): Promise<string[]> {
  const lists = await Promise.all(planeKinds.map((kind) => inside.list(kind, { metadataOnly: true })));
  return lists
    .flatMap(({ items }) => items)
    .filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/instance'])
    .map(({ kind, metadata }) => `${kind} ${metadata.name} ${metadata.uid}`)
    .sort();
}

/** The port of this machine on which it listens now: one that a Service may have as its node port. */
async function listenOnNodePort(server: Server): Promise<number> {
  for (let port = 32_000; ; port++) {
    const listens = once(server, 'listening');
    server.listen(port, '127.0.0.1');
    if (
      await listens.then(
        () => true,
        () => false,
      )
    )
      return port;
  }
}

const statusOf = (attempt: Promise<unknown>) =>
  attempt.then(
    () => undefined,
    ({ status }: ApiError) => status,
  );

describe.runIf(runsAllOf('api/operator-attacks'))('with edit in the namespace of a plane', { timeout: 400_000 }, () => {
  beforeAll(async () => {
    world = await OperatorWorld.open();
    controllers = await startControllers();
  }, 180_000);

  afterAll(async () => {
    if (controllers?.exitCode === null) {
      const ended = once(controllers, 'exit');
      controllers.kill('SIGKILL');
      await ended;
    }
    await world?.close();
  });

  test('owners, a forged record and a forged identity of the plane destroy nothing of a neighbour', async () => {
    const operator = world.start(['--timeout', '3s']);
    const neighbour = await world.sleepingPlane('neighbour');
    const own = await world.sleepingPlane('own');
    for (const each of [neighbour, own])
      await world.until(async () => (await objectOf(each)).status?.deletionPolicy === 'Delete');
    await world.until(async () => (await reasonOf(neighbour, 'Progressing')) === 'Asleep');
    const as = await editorOf(own);
    const [editor, elsewhere] = [await as('own'), await as('neighbour')];
    const owner = async (inside: InfraCluster): Promise<OwnerReference> => {
      const { name, uid } = (await objectOf(inside)).metadata;
      return { ...hostedControlPlane, name, uid: uid! };
    };
    const [ofOwn, ofNeighbour] = [await owner(own), await owner(neighbour)];
    const before = await uidsIn(neighbour);
    expect(before.length).toBeGreaterThan(15);

    // The owner of what is the neighbour's: RBAC.
    const ownerReferences = [ofOwn];
    for (const kind of [secretKind, recordKind, { apiVersion: 'apps/v1', kind: 'StatefulSet' }]) {
      const name = kind.kind === 'Secret' ? 'k8sk8s-ca' : kind.kind === 'StatefulSet' ? 'etcd-0' : 'k8sk8s';
      expect(await statusOf(elsewhere.merge(kind, name, { metadata: { ownerReferences } }))).toBe(403);
    }
    expect(await statusOf(elsewhere.merge(hostedControlPlane, 'k8sk8s', { metadata: { ownerReferences } }))).toBe(403);

    // The neighbour's object as owner of one's own: an owner of another namespace counts as one that is gone.
    const bait = { ...secretKind, metadata: { name: 'bait', ownerReferences: [ofNeighbour] } } as KubeObject;
    await editor.create(bait);
    await world.until(async () => !(await own.get(secretKind, 'bait')));
    expect(await uidsIn(neighbour)).toEqual(before);

    // The record says to be the neighbour's plane, and the object's time is over.
    const record = (await own.get<ConfigMap>(recordKind, 'k8sk8s'))!;
    const { planeId } = parseRecord((await neighbour.get<ConfigMap>(recordKind, 'k8sk8s'))!)!;
    const forged = (uid: string) => ({
      data: toConfigMap({ ...parseRecord(record)!, planeId }).data,
      metadata: { annotations: { [objectAnnotation]: uid } },
    });
    await editor.merge(recordKind, 'k8sk8s', forged(ofNeighbour.uid));
    await own.merge(hostedControlPlane, 'k8sk8s', { metadata: { annotations: { [lookAnnotation]: 'forged' } } });
    await world.until(async () => (await reasonOf(own, 'Degraded')) === 'NotAdopted');
    await world.until(async () => (await objectOf(own)).status?.deletionPolicy === undefined);
    await editor.merge(recordKind, 'k8sk8s', forged(ofOwn.uid));
    await change(own, { expiresAt: new Date(Date.now() - 1000).toISOString() });
    await world.until(async () => (await reasonOf(own, 'Progressing')) === 'Expired');
    expect(await uidsIn(neighbour)).toEqual(before);

    // The object goes, whoever is named as its owner.
    await own.merge(hostedControlPlane, 'k8sk8s', { metadata: { ownerReferences: [ofNeighbour] } });
    await world.until(async () => (await objectOf(own)) === undefined);
    await world.until(async () => (await uidsIn(own)).length === 0);
    expect(await uidsIn(neighbour)).toEqual(before);
    expect(await reasonOf(neighbour, 'Progressing')).toBe('Asleep');
    await world.end(operator);
    await neighbour.delete(hostedControlPlane, 'k8sk8s');
  });

  test('Services, EndpointSlices, the record and Secrets lead the operator of the infra cluster to no address of theirs', async () => {
    let visits = 0;
    const listener: Server = createServer((socket) => {
      visits++;
      socket.destroy();
    });
    const port = await listenOnNodePort(listener);
    const foreign = `127.0.0.1:${port}`;
    const inside = await world.namespace('dialled');
    const editor = await (await editorOf(inside))('dialled');
    const service = { apiVersion: 'v1', kind: 'Service' };
    const looked = async () => {
      // The second begins when the first has ended.
      for (const which of ['first', 'second']) {
        const before = await looksSoFar(inside);
        const annotations = { [lookAnnotation]: `${which} after ${before}` };
        await inside.merge(hostedControlPlane, 'k8sk8s', { metadata: { annotations } });
        await world.until(async () => (await looksSoFar(inside)) > before, 120);
      }
    };
    let operator = world.start(['--hosted-by', 'service', '--timeout', '2s', '--workers', '1']);
    try {
      // Its HOST leads there.
      await world.object(inside, { host: 'localhost', expose: 'nodeport', nodePort: port, profile: 'lite' });
      await world.until(async () => (await reasonOf(inside, 'Degraded')) === 'NotAvailable', 120);

      // Its Service: no address but those that the infra cluster gives out, no status, and no endpoints.
      const { name, labels, ownerReferences } = (await inside.get(service, 'apiserver'))!.metadata;
      const ports = [{ name: 'https', port: 443 }];
      const withSpec = (called: string, spec: object) =>
        ({ ...service, metadata: { name: called, labels, ownerReferences }, spec: { ports, ...spec } }) as KubeObject;
      const withAddress = withSpec('own', { clusterIP: '127.0.0.1' });
      expect(await statusOf(editor.create(withAddress, { dryRun: true }))).toBe(422);
      // The operator may make it again in between.
      const instead = (spec: object) =>
        world.until(async () => {
          await editor.delete(service, name);
          return (await statusOf(editor.create(withSpec(name, spec)))) === undefined;
        });
      const path = `/api/v1/namespaces/dialled/services/${name}/status`;
      const status = { loadBalancer: { ingress: [{ ip: '127.0.0.1' }] } };
      const contentType = 'application/merge-patch+json';
      expect(await statusOf(editor.transport.request({ method: 'PATCH', path, contentType, body: { status } }))).toBe(
        403,
      );
      const slice = {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: 'own', labels: { 'kubernetes.io/service-name': name } },
        addressType: 'IPv4',
        endpoints: [{ addresses: ['127.0.0.1'] }],
        ports: [{ name: 'https', port }],
      } as KubeObject;
      expect(await statusOf(editor.create(slice))).toBe(403);
      // Nor may an administrator.
      expect(await statusOf(inside.create(slice))).toBe(422);
      for (const spec of [{ type: 'ExternalName', externalName: 'localhost' }, { clusterIP: 'None' }]) {
        await instead(spec);
        await looked();
      }
      await editor.delete(service, name);
      await looked();

      // The record, what people get, and where backups go.
      const record = (await inside.get<ConfigMap>(recordKind, 'k8sk8s'))!;
      const { spec, ...rest } = parseRecord(record)!;
      const forged = (instead: object) =>
        editor.merge(recordKind, 'k8sk8s', {
          data: toConfigMap({ ...rest, phase: 'available', spec: { ...spec, ...instead } as typeof spec }).data,
        });
      await forged({ expose: 'ingress', nodePort: undefined, port });
      await looked();
      await forged({});
      await looked();
      const kubeconfig = Buffer.from(
        `{"clusters":[{"name":"a","cluster":{"server":"https://${foreign}","insecure-skip-tls-verify":true}}]}`,
      ).toString('base64');
      await editor.merge(secretKind, 'admin-kubeconfig', { data: { kubeconfig } });
      await editor.create({
        ...secretKind,
        metadata: { name: 'offsite', labels: { [destinationLabel]: 'true' } },
        stringData: {
          recipients: 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p',
          url: 's3://backups/team',
          endpoint: `http://${foreign}`,
          AWS_ACCESS_KEY_ID: 'a',
          AWS_SECRET_ACCESS_KEY: 'b',
        },
      } as KubeObject);
      await change(inside, { backup: { destination: 'offsite' } });
      await looked();
      expect(visits).toBe(0);

      // An operator beside the infra cluster dials HOST, as people do: the listener would have noticed.
      await world.end(operator);
      operator = world.start(['--timeout', '2s', '--workers', '1']);
      await world.until(async () => visits > 0, 120);
    } finally {
      await world.end(operator);
      listener.close();
      await inside.delete(hostedControlPlane, 'k8sk8s');
    }
  });

  test('an object waits for no backup in a namespace that ends, nor in one that the operator may not enter any more', async () => {
    const operator = world.start(['--backup-patience', '10m']);
    const binding = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding' };
    const held = async (name: string) => {
      const inside = await world.sleepingPlane(name);
      await change(inside, { deletionPolicy: 'Backup' });
      await world.until(async () => (await objectOf(inside)).status?.deletionPolicy === 'Backup');
      return inside;
    };
    const [ending, bound, alone] = [await held('ending'), await held('bound'), await held('alone')];
    // Where the bindings go first, the account may not do anything when the object's turn comes.
    for (const each of [ending, alone]) await each.delete(binding, planeAccount);
    await alone.delete(hostedControlPlane, 'k8sk8s');
    for (const { namespace } of [ending, bound])
      await world.admin.delete({ ...namespaceKind, metadata: { name: namespace } });
    await world.until(async () => (await objectOf(alone)) === undefined);
    for (const { namespace } of [ending, bound])
      await world.until(async () => (await world.admin.get(namespaceKind, namespace)) === undefined, 120);
    await world.end(operator);
  });
});
