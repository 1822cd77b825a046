import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { sandboxHost } from '../../src/sandbox/host.ts';
import { inside } from '../../src/sandbox/machine.ts';
import { loadState } from '../../src/sandbox/state.ts';
import { refused } from '../refused.ts';
import { edge, startEdge, stopEdge } from './edge.ts';
import { asInfraAdmin, eventually, Namespace, succeeded } from './world.ts';

// Traefik by its own kind and by the Gateway API; all other tests have it by an Ingress. One plane goes from one way to the next, and
// its name, its certificate and its data stay. Runs with `npm run test:all`.

const [host, other] = ['exposed.e2e.test', 'exposed-too.e2e.test'];
let home: Namespace;

const nodes = () => home.ask('get', 'namespaces', '-o', 'name');
const kindsThere = async () =>
  succeeded(await home.infra('get', 'ingressroutetcps,tlsroutes,ingresses', '-o', 'name'))
    .stdout.trim()
    .split('\n');

describe.runIf(process.env.K8SK8S_TEST === 'all')('ways to a plane', () => {
  beforeAll(async () => {
    await startEdge();
    home = await Namespace.open('exposed');
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
    const outcome = await home.k8sk8s('deploy', '--expose', 'ingress', '--yes');
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

  test('--expose loadbalancer: an address that comes late is waited for, and HOST leads there', async () => {
    const state = loadState(inject('sandbox'))!;
    const address = `${state.network}.201`;
    const machine = state.machines.find(({ role }) => role === 'infra')!;
    await inside(machine, ['ip', 'address', 'replace', `${address}/32`, 'dev', 'eth0']);
    await sandboxHost(inject('sandbox'), host, address);
    const deploying = home.k8sk8s('deploy', '-h', host, '--expose', 'loadbalancer', '--yes');
    await eventually(60, async () => {
      const type = await home.infra('get', 'service', 'apiserver', '-o', 'jsonpath={.spec.type}');
      expect(type.stdout).toBe('LoadBalancer');
    });
    // What a cloud's controller does; kube-proxy does the rest.
    const status = JSON.stringify({ status: { loadBalancer: { ingress: [{ ip: address }] } } });
    const patch = ['patch', 'service', 'apiserver', '--subresource=status', '--type=merge', '-p', status];
    succeeded(await asInfraAdmin('-n', home.name, ...patch));
    expect(succeeded(await deploying).stderr).toContain(address);
    expect(await nodes()).toContain('namespace/default');
  });

  test('destroy leaves none of them', async () => {
    succeeded(await home.k8sk8s('destroy', '--yes'));
    expect(await kindsThere()).toEqual(['']);
  });
});
