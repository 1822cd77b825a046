import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { sandboxHost } from '../../src/sandbox/host.ts';
import { wishAnnotation } from '../../src/sandbox/load-balancer/plan.ts';
import { endDaemon, inside } from '../../src/sandbox/machine.ts';
import { firstInfra, loadState } from '../../src/sandbox/state.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { edge, startEdge, stopEdge } from './edge.ts';
import { seenInPods, startPodVisitors, Visitors } from './visitors.ts';
import { asInfraAdmin, eventually, Namespace, run, sandboxCommand, succeeded } from './world.ts';

// Traefik by its own kind and by the Gateway API; all other tests have it by an Ingress. One plane goes from one way to the next, and
// its name, its certificate and its data stay. Runs with `npm run test:all`.

const [host, other] = ['exposed.e2e.test', 'exposed-too.e2e.test'];
let home: Namespace;

const nodes = () => home.ask('get', 'namespaces', '-o', 'name');
const kindsThere = async () =>
  succeeded(await home.infra('get', 'ingressroutetcps,tlsroutes,ingresses', '-o', 'name'))
    .stdout.trim()
    .split('\n');

/** As whoever administers the infra cluster and its load balancers does. */
const annotate = async (wish: string) =>
  succeeded(
    await asInfraAdmin('-n', home.name, 'annotate', '--overwrite', 'service', 'apiserver', `${wishAnnotation}=${wish}`),
  );

describe.runIf(runsAllOf('e2e/exposure'))('joined workers', () => {
  const name = 'moved.e2e.test';
  let plane: Namespace;
  let visitors: Visitors;

  const addressOf = (machine: string) =>
    loadState(plane.sandbox)!.machines.find((each) => each.name === machine)!.address;
  const readySince = () =>
    plane.ask('get', 'nodes', '-o', 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].lastTransitionTime}');

  /** Lets HOST lead elsewhere when deploy says so, as a person does. */
  const moved = async (change: string[], says: RegExp, to: (said: RegExpExecArray) => string) => {
    const [since, ready] = [Date.now(), await readySince()];
    const deploying = plane.started('deploy', ...change, '--yes');
    await sandboxHost(plane.sandbox, name, to(await deploying.said(says, 60)));
    expect(await deploying.ended()).toBe(0);
    await sleep(10_000);
    const pods = Object.values(await seenInPods(plane, since)).flatMap((kinds) => Object.entries(kinds));
    for (const [kind, seen] of [...Object.entries(visitors.seen(since)), ...pods]) {
      console.log(`${change.join(' ')}: ${kind}: ${JSON.stringify(seen)}`);
      expect(seen.requests, kind).toBeGreaterThan(50);
      expect(seen.failedTwice, kind).toBe(0);
    }
    expect(await readySince()).toBe(ready);
    expect((await plane.k8sk8s('diff')).code).toBe(0);
  };

  beforeAll(async () => {
    await startEdge();
    plane = await Namespace.open('moved');
    for (const args of [['host', name], ['load-balancer']]) succeeded(await sandboxCommand(args, plane));
    succeeded(await plane.k8sk8s('deploy', '-h', name, '--etcd-storage', 'ephemeral'));
    succeeded(await sandboxCommand(['join', '-n', plane.name, '--workers', '1'], plane));
    await eventually(120, async () => expect(await plane.ask('get', 'nodes', '--no-headers')).toMatch(/ Ready /));
    await startPodVisitors(plane);
    visitors = new Visitors(plane);
  });
  afterAll(async () => {
    await visitors?.stop();
    await sandboxCommand(['join', '--leave', '-n', plane.name], plane);
    await plane.k8sk8s('destroy', '--yes');
  });

  test('go on while the plane goes from an Ingress to a load balancer', async () => {
    await moved(['--expose', 'loadbalancer'], /load balancer is at ([\d.]+): let/, ([, address]) => address!);
  });

  test('and from there to a Gateway', async () => {
    const gateway = ['--expose', 'gateway', '--gateway', edge.gateway];
    await moved(gateway, /let it lead to/, () => addressOf(edge.node));
    expect((await plane.infra('get', 'service', 'apiserver', '-o', 'jsonpath={.spec.type}')).stdout).toBe('NodePort');
  });
});

describe.runIf(runsAllOf('e2e/exposure'))('ways to a plane', () => {
  beforeAll(async () => {
    await startEdge();
    home = await Namespace.open('exposed');
    succeeded(await sandboxCommand(['load-balancer'], home));
    const { address } = loadState(inject('sandbox'))!.machines.find(({ name }) => name === edge.node)!;
    for (const name of [host, other]) await sandboxHost(inject('sandbox'), name, address);
  });

  afterAll(async () => {
    await home.k8sk8s('destroy', '--yes');
    await stopEdge();
  });

  test("a Gateway that nobody has ends deploy within seconds, by the silence in the route's status", async () => {
    const outcome = await home.k8sk8s(
      'deploy',
      '-h',
      host,
      '--expose',
      'gateway',
      '--gateway',
      'edge/nobody',
      '--profile',
      'lite',
    );
    expect(outcome).toEqual(refused('exposure-not-taken', 'edge/nobody', 'v1alpha2'));
  });

  test('a listener of another name is refused with the words of the controller', async () => {
    const outcome = await home.k8sk8s(
      'deploy',
      '-h',
      host,
      '--expose',
      'gateway',
      '--gateway',
      'edge/shared/own',
      '--profile',
      'lite',
    );
    expect(outcome).toEqual(refused('exposure-not-taken', 'tlsroute'));
  });

  test('--expose gateway, by a TLSRoute, with two names', async () => {
    succeeded(
      await home.k8sk8s(
        'deploy',
        '-h',
        host,
        '-h',
        other,
        '--expose',
        'gateway',
        '--gateway',
        edge.gateway,
        '--profile',
        'lite',
      ),
    );
    expect(await nodes()).toContain('namespace/default');
    expect(succeeded(await home.hosted(['--context', other, 'get', '--raw', '/readyz'])).stdout).toBe('ok');
    expect(await kindsThere()).toEqual(['tlsroute.gateway.networking.k8s.io/k8s-on-k8s']);
  });

  test('--expose traefik, by an IngressRouteTCP, after it was asked for; the earlier name goes on', async () => {
    const change = ['deploy', '-h', host, '--reset', 'more-host', '--reset', 'gateway', '--expose', 'traefik'];
    expect(await home.k8sk8s(...change)).toEqual(refused('address-moves', 'Traefik', '--yes'));
    succeeded(await home.k8sk8s(...change, '--yes'));
    expect(await nodes()).toContain('namespace/default');
    expect(await kindsThere()).toEqual(['ingressroutetcp.traefik.io/k8s-on-k8s']);
    const server = ['--server', `https://${other}`];
    expect(succeeded(await home.hosted([...server, 'get', '--raw', '/readyz'])).stdout).toBe('ok');
  });

  test('a name that leads to a Traefik which does not read Ingresses: said by its default certificate', async () => {
    // The name would have to lead to another controller, which is waited for.
    const outcome = await home.k8sk8s('deploy', '--expose', 'ingress', '--yes', '--timeout', '20s');
    // The plane goes back to the way that worked.
    expect(outcome).toEqual(refused('change-undone', 'TRAEFIK DEFAULT CERT'));
    expect(await nodes()).toContain('namespace/default');
  });

  test('--expose cluster, which deletes what led to the plane, and takes no name', async () => {
    succeeded(await home.k8sk8s('deploy', '--expose', 'cluster', '--yes'));
    expect(await kindsThere()).toEqual(['']);
    const asked = await home.k8sk8s('connect', '--', 'kubectl', 'get', '--raw', '/readyz');
    expect(succeeded(asked).stdout).toBe('ok');
  });

  test('--expose loadbalancer: an address that comes late is waited for, and so is HOST', async () => {
    const deploying = home.started(
      ...[
        'deploy',
        '-h',
        host,
        '--expose',
        'loadbalancer',
        '--service-annotation',
        `${wishAnnotation}=late=8`,
        '--yes',
      ],
    );
    // The address stays the same until the service goes.
    const address = (await deploying.said(/load balancer is at ([\d.]+): let/))[1]!;
    await sandboxHost(home.sandbox, host, address);
    await deploying.said(/AVAILABLE|Nothing to change/);
    expect(await deploying.ended()).toBe(0);
    expect(await nodes()).toContain('namespace/default');
    expect(succeeded(await home.k8sk8s('status')).stdout).toContain(address);
    // A port that the service does not have is nobody's, also of the machine behind the address.
    expect((await run('curl', ['-s', '--max-time', '3', `http://${address}:80/`])).code).toBe(7);
  });

  test('an address that changes: status says it, HOST follows, and deploy has nothing left to do', async () => {
    const { network } = loadState(home.sandbox)!;
    const address = `${network}.249`;
    await annotate(address);
    await eventually(20, async () => {
      const status = await home.k8sk8s('status');
      expect(status.code).toBe(1);
      expect(status.stdout).toContain(`is at ${address}`);
      expect(JSON.parse((await home.k8sk8s('status', '--output', 'json')).stdout).findings).toContainEqual(
        expect.objectContaining({ anchor: 'load-balancer-moved' }),
      );
    });
    await sandboxHost(home.sandbox, host, address);
    succeeded(await home.k8sk8s('deploy', '--service-annotation', `${wishAnnotation}=${address}`));
    expect(succeeded(await home.k8sk8s('status')).stdout).toContain(address);
    expect(await nodes()).toContain('namespace/default');
  });

  test('a load balancer that has a name and no address', async () => {
    const state = loadState(home.sandbox)!;
    const balanced = async () => (await sandboxCommand(['load-balancer'], home)).stdout;
    await annotate('name');
    const row = new RegExp(`${home.name}/apiserver +([\\d.]+) +(\\S+)`);
    const [, address, name] = await eventually(20, async () => row.exec(await balanced())!);
    expect(address).toMatch(new RegExp(`^${state.network}`));
    for (const each of [host, name!]) await sandboxHost(home.sandbox, each, address);
    succeeded(await home.k8sk8s('deploy', '--service-annotation', `${wishAnnotation}=name`));
    expect(succeeded(await home.k8sk8s('status')).stdout).toContain(name);
    expect(await nodes()).toContain('namespace/default');
    const inside = await home.k8sk8s('deploy', '--in-cluster', 'loadbalancer', '--yes');
    expect(inside).toEqual(refused('no-load-balancer', name!));
  });

  test('a load balancer without an address left: its own words are told, by deploy and by status', async () => {
    await annotate('none');
    await eventually(20, async () => {
      const { stdout } = await home.k8sk8s('status');
      expect(stdout).toContain('has no address of a load balancer');
      expect(stdout).toContain('SyncLoadBalancerFailed');
    });
    const none = ['--service-annotation', `${wishAnnotation}=none`, '--timeout', '5s'];
    expect(await home.k8sk8s('deploy', ...none)).toEqual(refused('no-load-balancer', 'SyncLoadBalancerFailed'));
  });

  test('a class that nobody knows is left alone', async () => {
    const other = await Namespace.open('unknown-class');
    const options = ['--expose', 'loadbalancer', '--load-balancer-class', 'example.com/internal', '--timeout', '5s'];
    const outcome = await other.k8sk8s('deploy', '-h', 'class.e2e.test', '--profile', 'lite', ...options);
    expect(outcome).toEqual(refused('no-load-balancer', 'example.com/internal'));
    await other.k8sk8s('destroy', '--yes');
  });

  test('destroy leaves none of them', async () => {
    succeeded(await home.k8sk8s('destroy', '--yes'));
    expect(await kindsThere()).toEqual(['']);
    expect((await sandboxCommand(['load-balancer'], home)).stdout).not.toContain(`${home.name}/`);
  });

  test('the load balancer, killed and stopped, takes back what it made', async () => {
    const machine = firstInfra(loadState(home.sandbox)!);
    const pool = `${loadState(home.sandbox)!.network}.2`;
    const left = async () => {
      const rules = await inside(machine, ['sh', '-c', 'iptables-save; ip -4 -o address show dev eth0']);
      return rules.split('\n').filter((line) => line.includes('SANDBOX-LB') || line.includes(` ${pool}`));
    };
    succeeded(await asInfraAdmin('-n', home.name, 'create', 'service', 'loadbalancer', 'left', '--tcp=80'));
    const shown = ['get', 'service', 'left', '-o', 'jsonpath={.status.loadBalancer}'];
    await eventually(20, async () => expect((await home.infra(...shown)).stdout).toContain(pool));
    expect(await left()).not.toEqual([]);
    await endDaemon(loadState(home.sandbox)!, machine, 'load-balancer');
    succeeded(await asInfraAdmin('-n', home.name, 'delete', 'service', 'left'));
    // What went while nobody looked is taken back at the next start.
    succeeded(await sandboxCommand(['load-balancer'], home));
    await eventually(20, async () => expect((await left()).filter((line) => line.includes(pool))).toEqual([]));
    await endDaemon(loadState(home.sandbox)!, machine, 'load-balancer');
    succeeded(await sandboxCommand(['load-balancer', '--stop'], home));
    expect(await left()).toEqual([]);
  });
});
