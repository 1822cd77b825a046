import { once } from 'node:events';
import { createServer as createHttpServer, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hostedControlPlane } from '../../src/config/hosted-control-plane.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { ConfigMap, KubeObject, Lease } from '../../src/kube/objects.ts';
import { connectWhole } from '../../src/kube/whole-cluster.ts';
import { openPlane } from '../../src/live/open.ts';
import { operatorObjects, uninstall } from '../../src/operator/install.ts';
import { backupFinalizer, lookAnnotation, operatorName, operatorNamespace } from '../../src/operator/names.ts';
import type { HostedControlPlane } from '../../src/operator/object.ts';
import { planeKinds } from '../../src/plane/kinds.ts';
import { objectAnnotation } from '../../src/plane/names.ts';
import { parseRecord } from '../../src/plane/record.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { anonymousMemory, processorTime } from '../process-figures.ts';
import { runsAllOf } from '../test-all.ts';
import { OperatorWorld } from './operator-process.ts';
import type { Rule } from './rights.ts';

// The operator as a process with an API server of its own, which gives planes no pods: what it costs while nothing happens, and that it
// may be killed at any point. Minutes, so it runs with `npm run test:all`.

const seed = Number(process.env.K8SK8S_SEED ?? Date.now() % 100_000);
const planes = Number(process.env.K8SK8S_PLANES ?? 30);

async function conditionsOf(inside: InfraCluster): Promise<Record<string, string>> {
  const object = await inside.get<HostedControlPlane>(hostedControlPlane, 'k8sk8s');
  return Object.fromEntries((object?.status?.conditions ?? []).map(({ type, reason }) => [type, reason]));
}

async function objectsOf(inside: InfraCluster): Promise<KubeObject[]> {
  const lists = await Promise.all(planeKinds.map((kind) => inside.list(kind)));
  return lists.flatMap(({ items }) => items).filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/part-of']);
}

describe.runIf(runsAllOf('api/operator-alone'))('the operator as a process', { timeout: 600_000 }, () => {
  let world: OperatorWorld;
  beforeAll(async () => {
    world = await OperatorWorld.open();
  });
  afterAll(() => world?.close());

  test(`beside ${planes} planes that sleep it takes at most 100 MiB and 5 thousandths of a core`, async () => {
    const limit = pLimit(3);
    const all = await Promise.all(
      Array.from({ length: planes }, (_, n) => limit(() => world.sleepingPlane(`idle-${n}`))),
    );
    const operator = world.start();
    for (const inside of all) await world.until(async () => (await conditionsOf(inside)).Progressing === 'Asleep', 300);
    await sleep(30_000);
    const before = processorTime(operator.pid!);
    const lines = world.log.split('\n').length;
    await sleep(60_000);
    const millicores = ((processorTime(operator.pid!) - before) / 60) * 1000;
    const memory = anonymousMemory(operator.pid!);
    process.stderr.write(
      `idle with ${planes} planes: ${memory.toFixed(1)} MiB anonymous, ${millicores.toFixed(1)} m\n`,
    );
    expect(world.log.split('\n').length).toBe(lines);
    expect(memory).toBeLessThanOrEqual(100);
    expect(millicores).toBeLessThanOrEqual(5);
    await world.end(operator);
    for (const inside of all) await inside.delete(hostedControlPlane, 'k8sk8s');
  });

  test('each right that it lacks is named, in its log or in the object, and it goes on once it has that', async () => {
    const inside = await world.sleepingPlane('rights');
    await inside.merge(hostedControlPlane, 'k8sk8s', { spec: { deletionPolicy: 'Backup' } });
    const ofKind = (wanted: string) =>
      operatorObjects(operatorNamespace).find(
        ({ kind, metadata: { name } }) => kind === wanted && name === operatorName,
      ) as KubeObject & { rules: Rule[] };
    const [role, clusterRole] = [ofKind('Role'), ofKind('ClusterRole')];
    const [ofLease, ofObjects, ofStatus, asAccount] = [...role.rules, ...clusterRole.rules] as [Rule, Rule, Rule, Rule];
    const give = async (inNamespace: Rule[], everywhere: Rule[]) => {
      await world.admin.apply({ ...role, rules: inNamespace } as KubeObject);
      await world.admin.apply({ ...clusterRole, rules: everywhere } as KubeObject);
    };
    const only = (rule: Rule, ...verbs: string[]) => ({ ...rule, verbs });
    const seeing = only(ofObjects, 'list', 'watch');
    await give([], []);
    const its = connectWhole(world.operator);
    const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
    const isRefused = (asked: Promise<unknown>) => asked.then(() => false).catch(() => true);
    await world.until(() => isRefused(its.get(lease, operatorName, operatorNamespace)));
    await world.until(() => isRefused(its.list(hostedControlPlane)));
    await its.close();
    const operator = world.start();
    const said = async () => world.log + JSON.stringify(await inside.get(hostedControlPlane, 'k8sk8s'));
    const steps: [lacks: string, inNamespace: Rule[], everywhere: Rule[]][] = [
      ['"get" on "leases"', [], []],
      ['"update" on "leases"', [only(ofLease, 'get')], []],
      ['"list" on "hostedcontrolplanes"', [ofLease], []],
      ['"watch" on "hostedcontrolplanes"', [ofLease], [only(ofObjects, 'list')]],
      ['cannot patch resource "hostedcontrolplanes/status"', [ofLease], [seeing]],
      ['cannot impersonate resource "serviceaccounts"', [ofLease], [seeing, ofStatus]],
      ['cannot patch resource "hostedcontrolplanes" in', [ofLease], [seeing, ofStatus, asAccount]],
    ];
    for (const [lacks, inNamespace, everywhere] of steps) {
      await give(inNamespace, everywhere);
      const escaped = JSON.stringify(lacks).slice(1, -1);
      await world.until(async () => (await said()).includes(escaped));
      expect(operator.exitCode).toBe(null);
    }
    await give(role.rules, clusterRole.rules);
    const finalizers = async () => (await inside.get(hostedControlPlane, 'k8sk8s'))!.metadata.finalizers ?? [];
    await world.until(async () => (await finalizers()).includes(backupFinalizer), 120);
    await inside.merge(hostedControlPlane, 'k8sk8s', { spec: { deletionPolicy: null } });
    await world.until(async () => (await finalizers()).length === 0);
    await world.end(operator);
    await inside.delete(hostedControlPlane, 'k8sk8s');
  });

  test(`killed after any of its writes it goes on, and ends with the same plane (seed ${seed})`, async () => {
    const whole = await world.namespace('whole');
    await world.object(whole, { host: 'localhost' });
    const args = ['--timeout', '2s', '--every', '1h'];
    let operator = world.start(args);
    const answered = async (inside: InfraCluster) => (await conditionsOf(inside)).Degraded === 'NotAvailable';
    await world.until(() => answered(whole), 120);
    await world.end(operator);
    await whole.delete(hostedControlPlane, 'k8sk8s');
    const named = (objects: KubeObject[]) =>
      objects.map(({ kind, metadata }) => `${kind}/${metadata.name.replace(/-[0-9a-f]{8,}$/, '')}`).sort();
    const expected = named(await objectsOf(whole));

    const killed = await world.namespace('killed');
    await world.object(killed, { host: 'localhost' });
    const hook = path.resolve('test/api/kill-after.mjs');
    const planeIds = new Set<string>();
    let state = seed;
    for (let round = 1; round <= 12; round++) {
      // Park and Miller's generator: a seed gives the same kills again.
      state = (state * 48_271) % 2_147_483_647;
      const after = round <= 4 ? round : 1 + (state % 60);
      operator = world.start(args, [`--import=${hook}`, `--title=kill-after-${after}`]);
      await Promise.race([once(operator, 'exit'), sleep(20_000)]);
      await world.end(operator);
      const record = await killed.get<ConfigMap>({ apiVersion: 'v1', kind: 'ConfigMap' }, 'k8sk8s');
      if (record) planeIds.add(parseRecord(record)!.planeId);
    }
    operator = world.start(args);
    await world.until(() => answered(killed), 180);
    await world.end(operator);
    expect([...planeIds]).toHaveLength(1);
    const objects = await objectsOf(killed);
    expect(named(objects)).toEqual(expected);
    for (const { metadata } of objects) {
      expect(metadata.labels?.['app.kubernetes.io/instance']).toBe([...planeIds][0]);
      expect(metadata.ownerReferences?.map(({ kind }) => kind)).toEqual([hostedControlPlane.kind]);
    }
    await killed.delete(hostedControlPlane, 'k8sk8s');
  });

  test('a hosted API in the hands of somebody else does not keep it from others, is not listened to for long, and leads nowhere', async () => {
    type Answer = (response: ServerResponse) => void;
    let answer: Answer = (response) => response.end('ok');
    let sent = 0;
    const visited: string[] = [];
    // Its certificate is that of the plane, which there is once its port is known.
    const server = createHttpsServer((request, response) => {
      if (request.url?.startsWith('/readyz')) answer(response);
      else response.writeHead(404, { 'content-type': 'application/json' }).end('{"kind":"Status","code":404}');
    });
    const elsewhere = createHttpServer((request, response) => {
      visited.push(request.url ?? '');
      response.end('ok');
    });
    const portOf = (each: Server) => (each.address() as AddressInfo).port;
    for (const each of [server, elsewhere])
      await new Promise<void>((listening) => each.listen(0, '127.0.0.1', listening));
    const inside = await world.namespace('hostile');
    await world.object(inside, { host: 'localhost', port: portOf(server), profile: 'lite' });
    const operator = world.start(['--timeout', '2s', '--workers', '1']);
    await world.until(async () => (await conditionsOf(inside)).Degraded === 'NotAvailable', 120);
    const { bundle } = await openPlane(inside);
    const { certificate: cert, key } = bundle.leaves.apiserver!;
    server.setSecureContext({ cert, key });
    const reasons: string[] = [];
    const block = Buffer.alloc(1 << 16, 'x');
    const answers: [what: string, Answer][] = [
      ['healthy', answer],
      ['hanging', () => undefined],
      ['healthy', answer],
      [
        'endless',
        (response) => {
          const more = () => {
            do sent += block.length;
            while (!response.destroyed && response.write(block));
          };
          response.on('drain', more).on('error', () => undefined);
          more();
        },
      ],
      ['healthy', answer],
      [
        'redirecting',
        (response) => response.writeHead(302, { location: `http://127.0.0.1:${portOf(elsewhere)}/` }).end(),
      ],
    ];
    try {
      for (const [what, next] of answers) {
        answer = next;
        await inside.merge(hostedControlPlane, 'k8sk8s', {
          metadata: { annotations: { [lookAnnotation]: `${reasons.length}` } },
        });
        const other = await world.namespace(`beside-${reasons.length}`);
        await world.object(other, { host: 'localhost', apiServerArgs: ['etcd-servers=http://elsewhere'] });
        await world.until(async () => (await conditionsOf(other)).Degraded !== undefined);
        const isHealthy = what === 'healthy';
        await world.until(async () => ((await conditionsOf(inside)).Available === 'Answers') === isHealthy, 120);
        reasons.push(what);
      }
      expect(sent).toBeGreaterThan(0);
      expect(visited).toEqual([]);
      const memory = anonymousMemory(operator.pid!);
      process.stderr.write(
        `${(sent / 2 ** 20).toFixed(0)} MiB were sent without end; ${memory.toFixed(0)} MiB anonymous\n`,
      );
      expect(memory).toBeLessThan(200);
    } finally {
      for (const each of [server, elsewhere]) {
        each.closeAllConnections();
        each.close();
      }
      await world.end(operator);
    }
  });

  test('an API server that does not answer for 20 s ends it; one that begins again leads, and changes nothing that is as it should be', async () => {
    const inside = await world.sleepingPlane('partition');
    const [one, other] = [world.start(), world.start()];
    await world.until(async () => (await conditionsOf(inside)).Progressing === 'Asleep', 120);
    const holder = async () => {
      const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
      return (await world.admin.get<Lease>(lease, 'k8sk8s-operator', 'k8sk8s-system'))!.spec.holderIdentity;
    };
    const versions = async () =>
      (await objectsOf(inside)).map(({ kind, metadata }) => `${kind}/${metadata.name}@${metadata.resourceVersion}`);
    const before = await versions();
    expect(await holder()).toMatch(/./);
    const ended = Promise.race([one, other].map((each) => once(each, 'exit').then(() => each)));
    process.kill(world.plane.pid, 'SIGSTOP');
    // It ends while nobody answers: another one may begin when the Lease is over.
    const silence = sleep(20_000).then(() => undefined);
    const leader = await Promise.race([ended, silence]);
    await silence;
    process.kill(world.plane.pid, 'SIGCONT');
    expect(leader?.exitCode, world.log.slice(-2000)).toBe(1);
    world.start();
    await world.until(async () => ((await holder()) ?? '') !== '', 60);
    await inside.merge(hostedControlPlane, 'k8sk8s', { metadata: { annotations: { 'k8sk8s.io/look': 'now' } } });
    await sleep(5000);
    expect(await versions()).toEqual(before);
  });

  test('uninstall deletes each object with its plane where that is asked for, and no plane of the command line', async () => {
    const followed = await world.sleepingPlane('doomed');
    const other = await world.sleepingPlane('of-somebody');
    const record = { apiVersion: 'v1', kind: 'ConfigMap' };
    await other.merge(record, 'k8sk8s', { metadata: { annotations: { [objectAnnotation]: null } } });
    const patience = { timeout: 20_000, signal: new AbortController().signal };
    await uninstall(world.admin, operatorNamespace, quietReporter, patience);
    for (const inside of [followed, other]) expect(await inside.get(hostedControlPlane, 'k8sk8s')).toBeUndefined();
    expect(await objectsOf(followed)).toEqual([]);
    expect((await objectsOf(other)).length).toBeGreaterThan(10);
  });
});
