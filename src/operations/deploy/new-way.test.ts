import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { refused } from '../../../test/refused.ts';
import { plain } from '../../base/words.ts';
import { parseSpec } from '../../config/parse.ts';
import type { ClusterSpecInput } from '../../config/schema.ts';
import { applyAll, Existing, nothingApplied } from '../../live/apply.ts';
import { InfraStore } from '../../live/infra-store.fixture.ts';
import { openPlane } from '../../live/open.ts';
import { putPlane } from '../../live/plane.fixture.ts';
import { createAuthority, issueLeaf } from '../../pki/issue.ts';
import { addressesOf } from '../../plane/addresses.ts';
import { buildExposure } from '../../plane/exposures/table.ts';
import { quietReporter } from '../../ui/quiet.ts';
import { earlierWay, keptWay, settleWay } from './new-way.ts';
import type { DeployState } from './state.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const earlier = 'ingresses/k8s-on-k8s';
const times = { forgets: 50, patience: 300 };

/** A deploy of a plane that was exposed by an Ingress, as far as the step that looks whether HOST follows. */
async function changing(next: Partial<ClusterSpecInput>, shows: 'the plane' | 'a stranger') {
  const store = new InfraStore();
  await putPlane(store);
  const { record, bundle, spec: before } = await openPlane(store.cluster);
  for (const object of buildExposure(record.planeId, before)) store.put(earlier, object);
  const stranger = await createAuthority('somebody else');
  const { certificate: cert, key } =
    shows === 'the plane'
      ? bundle.leaves.apiserver!
      : await issueLeaf(stranger, { commonName: 'TRAEFIK DEFAULT CERT', usages: ['serverAuth'] });
  const server = createServer({ cert, key }, (_, response) => response.end('ok'));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const spec = parseSpec({ ...before, port, ...next }, 'a test');
  const services = ['apiserver', 'etcd0'].map((name) => store.get(`services/${name}`)!) as never;
  const warned: string[] = [];
  const reporter = { ...quietReporter, warn: (text: Parameters<typeof plain>[0]) => void warned.push(plain(text)) };
  const { cluster } = store;
  const existing = await Existing.read(cluster);
  const applied = nothingApplied();
  const state = {
    cluster,
    spec,
    record,
    bundle,
    existing,
    applied,
    addresses: addressesOf(spec, services, record),
    watch: { apiServerReady: true, failure: undefined, waitingFor: () => undefined },
    held: { cluster, reporter, timeout: 1500, signal: new AbortController().signal },
    apply: (objects) => applyAll(cluster, record.planeId, objects, existing, applied, reporter),
  } as DeployState;
  return { store, state, warned };
}

const byGateway = { expose: 'gateway', gateway: 'edge/shared' } as const;

test('the earlier way stays until HOST is asked, and goes where HOST is the plane without it', async () => {
  const { store, state, warned } = await changing(byGateway, 'the plane');
  expect(keptWay(state)!(store.get(earlier)!)).toBe(true);
  await settleWay(state, times);
  expect(store.get(earlier)).toBeUndefined();
  expect(warned).toEqual([]);
});

test('where somebody else answers without it, it comes back, and what HOST has to lead to is told', async () => {
  const { store, state, warned } = await changing(byGateway, 'a stranger');
  await expect(settleWay(state, times)).rejects.toEqual(refused('host', 'TRAEFIK DEFAULT CERT', 'the Gateway'));
  expect(store.get(earlier)).toBeDefined();
  expect(store.requests.filter((each) => each === `DELETE ${earlier}`)).toHaveLength(1);
  expect(warned.join()).toContain('let localhost lead to the Gateway');
});

test('a way inside of the infra cluster is asked nothing, and one by another address waits for nobody', async () => {
  const inside = await changing({ expose: 'cluster', port: undefined }, 'a stranger');
  await settleWay(inside.state, times);
  expect(inside.store.get(earlier)).toBeUndefined();
  const { state } = await changing({ expose: 'loadbalancer' }, 'a stranger');
  await expect(settleWay(state, times)).rejects.toEqual(refused('wrong-host', 'localhost'));
});

test('of a plane that nobody reaches yet, or whose way stays, there is no earlier way', async () => {
  const { state } = await changing({}, 'the plane');
  expect(earlierWay(state)).toBeUndefined();
  const changed = { ...state, spec: parseSpec({ ...state.spec, ...byGateway }, 'a test') };
  expect(earlierWay(changed)?.expose).toBe('ingress');
  expect(earlierWay({ ...changed, record: { ...state.record, phase: 'deploying' } })).toBeUndefined();
  expect(earlierWay({ ...changed, asleep: { since: '', replicas: {} } as never })).toBeUndefined();
});
