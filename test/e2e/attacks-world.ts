import { expect } from 'vitest';
import { runsAllOf } from '../test-all.ts';
import { Neighbour, secret } from './neighbour.ts';
import { type Answer, Tenant } from './tenant.ts';
import { asInfraAdmin, Namespace, sandboxCommand, succeeded } from './world.ts';

const gate = 'refused by the gate of this control plane';
/** Whatever would tell one address from another. */
const telling =
  /ECONN|EHOST|connection refused|connection reset|no route|timeout|timed out|x509|certificate|handshake|no such host|EOF/i;

/** The table: what was asked, and what came. */
export const seen: string[] = [];

export function tellSeen(): void {
  if (runsAllOf('e2e/attacks')) console.log(seen.join('\n'));
}

/** The attacker's plane, another one, and somebody else's pod in the infra cluster. */
export interface AttackedPlanes {
  home: Namespace;
  other: Namespace;
  neighbour: Neighbour;
  tenant: Tenant;
}

export async function openPlanes(name: string): Promise<AttackedPlanes> {
  const host = `${name}.e2e.test`;
  const [home, other] = await Promise.all([Namespace.open(name), Namespace.open(`${name}-other`)]);
  try {
    for (const [namespace, itsHost] of [
      [home, host],
      [other, `other.${host}`],
    ] as const)
      succeeded(await sandboxCommand(['host', itsHost], namespace));
    const [first, second, neighbour] = await Promise.all([
      home.k8sk8s('deploy', '-h', host),
      other.k8sk8s('deploy', '-h', `other.${host}`),
      Neighbour.moveIn(`${name}-neighbour`),
    ]);
    succeeded(first);
    succeeded(second);
    return { home, other, neighbour, tenant: new Tenant(home) };
  } catch (error) {
    await closePlanes({ home, other });
    throw error;
  }
}

/** Also where not all of them could be opened. */
export async function closePlanes({ home, other, neighbour, tenant }: Partial<AttackedPlanes>): Promise<void> {
  tenant?.close();
  await neighbour?.moveOut();
  await Promise.all([home, other].map((each) => each?.k8sk8s('destroy', '--yes')));
}

export interface Victim {
  name: string;
  address: string;
  port: number;
  scheme: 'http' | 'https';
  path: string;
}

/** Servers in the infra cluster that are none of the attacker's. */
export async function victimsOf(other: Namespace, neighbour: Neighbour): Promise<Victim[]> {
  const podOf = async (component: string) => (await other.podsOf(component))[0]!.status.podIP;
  const port = succeeded(
    await other.infra('get', 'service', 'apiserver', '-o', 'jsonpath={.spec.ports[0].targetPort}'),
  );
  const infra = async (...args: string[]) => succeeded(await asInfraAdmin(...args)).stdout;
  const service = await infra('get', 'service', 'kubernetes', '-o', 'jsonpath={.spec.clusterIP}');
  const node = await infra('get', 'nodes', '-o', 'jsonpath={.items[0].status.addresses[0].address}');
  const [etcd, apiserver] = [await podOf('etcd'), await podOf('kube-apiserver')];
  const apiPort = /^\d+$/.test(port.stdout) ? Number(port.stdout) : 6443;
  const https = { scheme: 'https', path: '' } as const;
  return [
    { name: "a neighbour's pod", address: neighbour.podIp, port: 8080, scheme: 'http', path: '' },
    { name: "a neighbour's pod", address: neighbour.podIp, port: 8443, ...https },
    { name: "a neighbour's pod at a kubelet's port", address: neighbour.podIp, port: 10250, ...https },
    { name: "a neighbour's Service", address: neighbour.serviceIp, port: 443, ...https },
    { name: "another plane's etcd", address: etcd, port: 2379, ...https, path: 'health' },
    { name: "another plane's etcd", address: etcd, port: 2381, scheme: 'http', path: 'metrics' },
    { name: "another plane's API server", address: apiserver, port: apiPort, ...https, path: 'version' },
    { name: 'the infra API', address: service, port: 443, ...https, path: 'version' },
    { name: 'the kubelet of an infra node', address: node, port: 10250, ...https, path: 'pods' },
    { name: 'a metadata service', address: '169.254.169.254', port: 80, scheme: 'http', path: 'latest/meta-data/' },
    { name: 'the API server itself', address: '127.0.0.1', port: apiPort, ...https, path: 'version' },
  ];
}

/** The end of an attack: nothing was fetched, and the answer tells nothing of the network. */
export function nothingLearnt(request: string, { status, body }: Answer, because: RegExp = new RegExp(gate)): void {
  seen.push(`${request} -> ${status} ${body.replace(/\s+/g, ' ').slice(0, 160)}`);
  expect(status === 0 || status >= 400, `${request}: ${status} ${body}`).toBe(true);
  expect(body, request).toMatch(because);
  expect(body, request).not.toContain(secret);
  if (body.includes(gate)) expect(body.replaceAll(/https?:\S+/g, ''), request).not.toMatch(telling);
}

/** The API server itself resolves no name, whether there is such a host or not. */
export const noNames = /lookup \S+ on 127\.0\.0\.1:53: .*connection refused|lookup [\dx.]+: no such host/;
/** Loopback, link-local and the like it refuses by itself. */
export const itself = new RegExp(`${gate}|not allowed|no preferred addresses|${noNames.source}`);
