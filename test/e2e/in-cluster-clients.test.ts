import { afterEach, describe, expect, test } from 'vitest';
import { wishAnnotation } from '../../src/sandbox/load-balancer/plan.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { changedNothing, Namespace, sandboxCommand, succeeded } from './world.ts';

// The two ways to 10.3.0.1:443 that are not the default one. CoreDNS is the in-cluster client: it is not ready before it
// has listed Services by way of that address. Runs with `npm run test:all`.

let home: Namespace;

async function place(name: string): Promise<string> {
  home = await Namespace.open(name);
  const host = `${name}.e2e.test`;
  succeeded(await sandboxCommand(['host', host], home));
  succeeded(await sandboxCommand(['load-balancer'], home));
  return host;
}

afterEach(async () => {
  await sandboxCommand(['join', '--leave', '-n', home.name], home);
  await home.k8sk8s('destroy', '--yes');
});

const dnsRuns = () => home.rolledOut('kube-dns', 90, 'kube-system');
const endpoint = () =>
  home.ask('get', 'endpointslice', 'kubernetes', '-o', 'jsonpath={.endpoints[0].addresses[0]}:{.ports[0].port}');

describe.runIf(runsAllOf('e2e/in-cluster-clients'))('in-cluster clients', () => {
  test('--in-cluster loadbalancer: by the address of a LoadBalancer service', async () => {
    const host = await place('balanced');
    const { stderr } = succeeded(await home.k8sk8s('deploy', '-h', host, '--in-cluster', 'loadbalancer'));
    expect(stderr).toContain('load balancer of service "apiserver"');
    const [, address] = /^(10\.200\.\d+\.2\d\d):6443$/.exec(await endpoint())!;
    expect((await home.k8sk8s('worker-config')).stdout).toContain(`${address}:6443/tcp, the load balancer`);
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
    await dnsRuns();
    changedNothing(await home.k8sk8s('deploy'));
  });

  test('--in-cluster loadbalancer where there is none: says so and what to do', async () => {
    const host = await place('unbalanced');
    const none = ['--service-annotation', `${wishAnnotation}=none`, '--timeout', '3s'];
    expect(await home.k8sk8s('deploy', '-h', host, '--in-cluster', 'loadbalancer', ...none)).toEqual(
      refused('no-load-balancer', '"apiserver"', '--in-cluster', 'k8sk8s destroy'),
    );
  });

  test('--in-cluster loopback: by an address and a relay on each worker', async () => {
    const host = await place('loopback');
    succeeded(await home.k8sk8s('deploy', '-h', host, '--in-cluster', 'loopback'));
    const listening = await endpoint();
    expect(listening).toMatch(/^10\.199\.199\.199:\d+$/);
    const [address, port] = listening.split(':');
    expect((await home.k8sk8s('worker-config', '--script')).stdout).toContain(
      `TCP-LISTEN:${port},fork,reuseaddr,bind=${address}`,
    );
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
    await dnsRuns();
  });
});
