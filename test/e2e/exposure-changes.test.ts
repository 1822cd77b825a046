import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadAll } from 'js-yaml';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { KubeObject, Pod } from '../../src/kube/objects.ts';
import { shownCertificate } from '../../src/kube/shown-certificate.ts';
import { inHostedCluster } from '../../src/live/open.ts';
import { sandboxHost } from '../../src/sandbox/host.ts';
import { wishAnnotation } from '../../src/sandbox/load-balancer/plan.ts';
import { loadState } from '../../src/sandbox/state.ts';
import { connectByFile } from '../connect-by-file.ts';
import { allowPrivilegedPods } from '../privileged-namespace.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { visitWebService, webService } from '../web-service.ts';
import { edge, startEdge, stopEdge } from './edge.ts';
import { seenInPods, startPodVisitors } from './visitors.ts';
import { asInfraAdmin, eventually, Namespace, sandboxCommand, succeeded } from './world.ts';

// A plane that runs goes from each way that the sandbox has to each other one, while its name leads where the earlier way needed it and is
// moved when deploy says so; and a load balancer of a plane with a worker gets another address. Runs with `npm run test:all`. The worker
// keeps this file and e2e/exposure apart, which take the same second Traefik away.

let home: Namespace;
const runs = runsAllOf('e2e/exposure-changes');

beforeAll(async () => {
  if (runs) await startEdge();
});
afterAll(async () => {
  if (runs) await stopEdge();
});

const machine = (name: string) => loadState(home.sandbox)!.machines.find((each) => each.name === name)!.address;
const move = (host: string, address: string) => sandboxHost(home.sandbox, host, address);

/** Each with the kind of its objects, and with the machine behind its name where a controller of one machine has it. */
const ways = {
  ingress: { kind: 'ingress.networking.k8s.io', at: () => machine('infra-1') },
  gateway: { kind: 'tlsroute.gateway.networking.k8s.io', at: () => machine(edge.node) },
  traefik: { kind: 'ingressroutetcp.traefik.io', at: () => machine(edge.node) },
  loadbalancer: { kind: undefined, at: undefined },
  nodeport: { kind: undefined, at: () => machine('infra-3') },
  cluster: { kind: undefined, at: undefined },
} as const;
type Way = keyof typeof ways;

/** A way through all changes that begins and ends at the same place: the stops after the first. Pure. */
function tourOf(all: readonly Way[], from = 0): Way[] {
  const next = all.slice(from + 1);
  return next.flatMap((way, index) => [way, ...(index === 0 ? tourOf(all, from + 1) : []), all[from]!]);
}

const stops = ['ingress', ...tourOf(Object.keys(ways) as Way[])] as Way[];
const changes = stops.slice(1).map((next, index) => [stops[index]!, next] as const);

const optionsOf = (way: Way, before?: Way) => [
  ...['--expose', way],
  ...(way === 'gateway' ? ['--gateway', edge.gateway] : before === 'gateway' ? ['--reset', 'gateway'] : []),
];

describe.runIf(runs)('from each way to each other', () => {
  const host = 'changes.e2e.test';

  const exposing = async () =>
    succeeded(await home.infra('get', 'ingressroutetcps,tlsroutes,ingresses', '-o', 'name'))
      .stdout.trim()
      .split('\n');
  const answers = async (way: Way) =>
    way === 'cluster'
      ? home.k8sk8s('connect', '--', 'kubectl', 'get', '--raw', '/readyz')
      : home.hosted(['get', '--raw', '/readyz']);

  beforeAll(async () => {
    home = await Namespace.open('changes');
    succeeded(await sandboxCommand(['load-balancer'], home));
    await move(host, machine('infra-1'));
    succeeded(await home.k8sk8s('deploy', '-h', host, '--profile', 'lite'));
  });
  afterAll(async () => {
    await home.k8sk8s('destroy', '--yes');
  });

  test('all changes are on the tour, once each', () => {
    expect(new Set(changes.map(String)).size).toBe(changes.length);
    expect(changes).toHaveLength(Object.keys(ways).length * (Object.keys(ways).length - 1));
  });

  test('a name that nobody moves: told within seconds, and the plane is reached as before, with nothing of the new way left', async () => {
    const began = Date.now();
    const deploying = home.started('deploy', ...optionsOf('gateway'), '--yes', '--timeout', '30s');
    await deploying.said(/let changes\.e2e\.test lead to the Gateway/, 90);
    console.log(`told ${((Date.now() - began) / 1000).toFixed(1)} s after deploy began`);
    await eventually(10, async () => expect(succeeded(await answers('ingress')).stdout).toBe('ok'));
    expect(await deploying.ended()).toBe(1);
    await deploying.said(/docs\/checks\.md#change-undone/, 1);
    await deploying.said(/TRAEFIK DEFAULT CERT/, 1);
    expect(succeeded(await answers('ingress')).stdout).toBe('ok');
    expect(await exposing()).toEqual(['ingress.networking.k8s.io/k8s-on-k8s']);
    expect((await home.k8sk8s('diff')).code).toBe(0);
  });

  test.each(changes)('from %s to %s', async (before, next) => {
    const began = Date.now();
    const deploying = home.started('deploy', ...optionsOf(next, before), '--yes');
    const asked = deploying.said(/(?:load balancer is at ([\d.]+)\S* )?let \S+ lead/, 120).catch(() => undefined);
    const said = await Promise.race([asked, deploying.ended()]);
    const seconds = ((Date.now() - began) / 1000).toFixed(1);
    if (said && typeof said === 'object') await move(host, ways[next].at?.() ?? said[1]!);
    expect(await deploying.ended()).toBe(0);
    console.log(
      `${before} to ${next}: ${typeof said === 'object' ? `asked after ${seconds} s, ` : ''}${((Date.now() - began) / 1000).toFixed(1)} s`,
    );
    expect(succeeded(await answers(next)).stdout).toBe('ok');
    const { kind } = ways[next];
    expect(await exposing()).toEqual([kind === undefined ? '' : `${kind}/k8s-on-k8s`]);
  });

  test('after all of them the plane is as it is wanted, and its data is there', async () => {
    expect((await home.k8sk8s('diff')).code).toBe(0);
    expect(await home.ask('get', 'namespaces', '-o', 'name')).toContain('namespace/default');
  });
});

describe.runIf(runs)('one command from nothing to two Ready worker pods and a Service that answers', () => {
  const host = 'workers-by-each-way.e2e.test';
  let image: string;

  beforeAll(async () => {
    home = await Namespace.open('workers-by-each-way');
    await allowPrivilegedPods(home.sandbox, home.name);
    succeeded(await sandboxCommand(['load-balancer'], home));
    image = succeeded(await sandboxCommand(['image', 'worker'], home)).stdout.trim();
  });
  afterEach(async () => {
    succeeded(await home.k8sk8s('destroy', '--yes'));
  });

  test.each(Object.keys(ways) as Way[])('--expose %s', async (way) => {
    await move(host, ways[way].at?.() ?? machine('infra-1'));
    const began = Date.now();
    const named = way === 'cluster' ? [] : ['-h', host];
    const workers = ['--worker-pods', '2', '--worker-image', image, '--etcd-storage', 'ephemeral'];
    const deploying = home.started('deploy', ...named, ...optionsOf(way), ...workers);
    if (way === 'loadbalancer') await move(host, (await deploying.said(/load balancer is at ([\d.]+)/, 60))[1]!);
    expect(await deploying.ended()).toBe(0);
    console.log(`${way}: deployed with two workers in ${((Date.now() - began) / 1000).toFixed(1)} s`);
    const cluster = connectByFile(home.env.KUBECONFIG!, home.name);
    await inHostedCluster(cluster, async (_, hosted) => {
      for (const object of loadAll(webService) as KubeObject[]) await hosted.apply(object);
      await eventually(90, async () => {
        const { items } = await hosted.list<Pod>(podKind, { namespace: 'default', labelSelector: 'app=web' });
        const names = items.map(({ metadata }) => metadata.name).sort();
        expect(new Set(items.map(({ spec }) => spec.nodeName))).toEqual(new Set(['worker-pod-0', 'worker-pod-1']));
        const { stdout } = await hosted.exec(names[0]!, 'default', ['node', '-e', visitWebService]);
        expect(stdout.toString().trim().split('\n').sort()).toEqual(names);
      });
    }).finally(() => cluster.close());
  });
});

const podKind = { apiVersion: 'v1', kind: 'Pod' };

describe.runIf(runs)('a load balancer whose address changes', () => {
  const host = 'balanced-moves.e2e.test';
  let before: string;
  let after: string;

  const files = () => ['ca.pem', 'kubeconfig'].map((file) => readFileSync(path.join(home.cwd, 'tls', file), 'utf8'));
  const endpoint = () =>
    home.ask('get', 'endpointslice', 'kubernetes', '-o', 'jsonpath={.endpoints[*].addresses[*]}:{.ports[0].port}');

  beforeAll(async () => {
    home = await Namespace.open('balanced-moves');
    for (const args of [['host', host], ['load-balancer']]) succeeded(await sandboxCommand(args, home));
    const options = ['--expose', 'loadbalancer', '--in-cluster', 'loadbalancer', '--etcd-storage', 'ephemeral'];
    const deploying = home.started('deploy', '-h', host, ...options);
    before = (await deploying.said(/load balancer is at ([\d.]+)/, 60))[1]!;
    await move(host, before);
    expect(await deploying.ended()).toBe(0);
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
    await eventually(120, async () => expect(await home.ask('get', 'nodes', '--no-headers')).toMatch(/ Ready /));
    await startPodVisitors(home);
    after = `${loadState(home.sandbox)!.network}.248`;
  });
  afterAll(async () => {
    await sandboxCommand(['join', '--leave', '-n', home.name], home);
    await home.k8sk8s('destroy', '--yes');
  });

  test('status says that people and pods dial an address that is gone', async () => {
    expect(await endpoint()).toBe(`${before}:6443`);
    succeeded(
      await asInfraAdmin(
        '-n',
        home.name,
        'annotate',
        '--overwrite',
        'service',
        'apiserver',
        `${wishAnnotation}=${after}`,
      ),
    );
    await eventually(20, async () => {
      const { findings } = JSON.parse((await home.k8sk8s('status', '--output', 'json')).stdout);
      const moved = findings.filter(({ anchor }: { anchor: string }) => anchor === 'load-balancer-moved');
      expect(moved).toHaveLength(2);
      expect(JSON.stringify(moved)).toContain(before);
      expect(JSON.stringify(moved)).toContain(after);
    });
  });

  test('HOST follows, and one deploy has the rest follow: certificate and EndpointSlice, while files and kubeconfigs stay as they are', async () => {
    const had = files();
    await move(host, after);
    succeeded(await home.k8sk8s('deploy'));
    expect(files()).toEqual(had);
    expect(await endpoint()).toBe(`${after}:6443`);
    const names = (await shownCertificate(after, 443))!.subjectAltName!.split(', ');
    expect(names).toContain(`IP Address:${after}`);
    expect(names).not.toContain(`IP Address:${before}`);
    expect(succeeded(await home.k8sk8s('status')).stdout).toContain(after);
    expect((await home.k8sk8s('diff')).code).toBe(0);
  });

  test('the worker and its pods go on without a visit: pods reach the API by the new address, and the API the pods', async () => {
    await sleep(5000);
    const since = Date.now();
    await sleep(10_000);
    const [kinds] = Object.values(await seenInPods(home, since));
    for (const [kind, seen] of Object.entries(kinds!)) {
      expect(seen.requests, kind).toBeGreaterThan(50);
      expect(seen.failed, `${kind}: ${seen.errors}`).toBe(0);
    }
    expect(await home.ask('get', 'nodes', '--no-headers')).toMatch(/ Ready /);
    const pod = await home.ask('get', 'pods', '-l', 'app=visitor', '-o', 'name');
    expect(await home.ask('exec', pod, '--', 'node', '-e', 'console.log(6 * 7)')).toBe('42');
  });

  test('an address that becomes a name: the API server cannot publish it, so nothing is changed', async () => {
    succeeded(
      await asInfraAdmin('-n', home.name, 'annotate', '--overwrite', 'service', 'apiserver', `${wishAnnotation}=name`),
    );
    await eventually(20, async () => expect((await home.k8sk8s('status')).stdout).toContain('balanced.test'));
    expect(await home.k8sk8s('deploy')).toEqual(refused('no-load-balancer', 'balanced.test'));
    expect(await endpoint()).toBe(`${after}:6443`);
  });
});
