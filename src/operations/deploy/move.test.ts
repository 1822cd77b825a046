import { expect, test } from 'vitest';
import { refused } from '../../../test/refused.ts';
import { parseSpec } from '../../config/parse.ts';
import type { ClusterSpecInput } from '../../config/schema.ts';
import { InfraStore } from '../../live/infra-store.fixture.ts';
import { openPlane } from '../../live/open.ts';
import { putPlane } from '../../live/plane.fixture.ts';
import { readRecord } from '../../live/record.ts';
import { certificateContext, renderExposure, renderPlane } from '../../plane/render.ts';
import { quietReporter } from '../../ui/quiet.ts';
import { announceMove, moveOf, moveOver } from './move.ts';
import { relayChanges } from './relays.ts';
import type { DeployState } from './state.ts';

const spec = (input: Partial<ClusterSpecInput> = {}) => parseSpec({ host: 'a.example.com', ...input }, 'a test');

test('a change that leaves all addresses as they are moves nobody', () => {
  expect(moveOf(spec(), spec({ replicas: 2, apiServerArgs: ['v=2'] }))).toBeUndefined();
});

test.each([
  ['another HOST', {}, { host: 'b.example.com' }, { keeps: ['a.example.com'], ends: false }],
  ['another port of what stands before the ingress', {}, { port: 8443 }, { keeps: [], ends: false }],
  ['another way to expose it', {}, { expose: 'nodeport' as const }, { keeps: [], ends: true }],
  [
    'another node port',
    { expose: 'nodeport' as const, nodePort: 30001 },
    { expose: 'nodeport' as const, nodePort: 30002 },
    { keeps: [], ends: true },
  ],
  [
    'another endpoint of workers',
    { workerEndpoint: 'https://w1.example.com:6443' },
    { workerEndpoint: 'https://w2.example.com:6443' },
    { keeps: ['w1.example.com'], ends: false },
  ],
])('%s', (_, before, after, expected) => {
  expect(moveOf(spec(before), spec(after))).toMatchObject(expected);
});

test.each([
  ['kept since a move', { spec: spec(), earlierHosts: ['old.example.com'] }, { tunnelHost: 'old.example.com' }],
  ['kept from now on', { spec: spec() }, { host: 'b.example.com', tunnelHost: 'a.example.com' }],
])('the tunnel has no name of the API server that is %s', (_, record, after) => {
  const wanted = spec({ ...after, inCluster: 'loopback' });
  expect(() => moveOver(record, wanted)).toThrow(refused('bad-values', after.tunnelHost, 'host drop'));
});

/** Names that a plane of `record` answers at after a deploy of `after`: by what exposes it, and in its certificate. */
function answered(record: Parameters<typeof moveOver>[0], after: Partial<ClusterSpecInput>) {
  const wanted = spec(after);
  const now = { ...record, ...moveOver(record, wanted), spec: wanted };
  const [ingress] = renderExposure({ planeId: 'p', ...now }, wanted, {}).exposure as unknown as {
    spec: { rules: { host: string }[] };
  }[];
  return { now, exposed: ingress!.spec.rules.map(({ host }) => host), kept: now.earlierHosts };
}

test('an earlier endpoint of workers stays in the certificate, and nothing that exposes the plane gets its name', () => {
  const endpoint = (name: string) => ({ workerEndpoint: `https://${name}.example.com:6443` });
  const first = answered({ spec: spec(endpoint('neighbour')) }, endpoint('w2'));
  expect(first.exposed).toEqual(['a.example.com']);
  expect(first.kept).toEqual(['neighbour.example.com']);
  const second = answered(first.now, { host: 'b.example.com', ...endpoint('w3') });
  expect(second.exposed).toEqual(['b.example.com', 'a.example.com']);
  expect(second.kept).toEqual(['a.example.com', 'w2.example.com', 'neighbour.example.com']);
});

test.each<[string, Parameters<typeof moveOver>[0], string[]]>([
  ['HOST too', { spec: spec({ workerEndpoint: 'https://a.example.com:6443' }) }, ['b.example.com', 'a.example.com']],
  [
    'HOST before it was the endpoint',
    { spec: spec({ workerEndpoint: 'https://old.example.com' }), earlierHosts: ['old.example.com'] },
    ['b.example.com', 'a.example.com', 'old.example.com'],
  ],
  [
    'HOST after it was the endpoint',
    { spec: spec(), earlierHosts: ['a.example.com'], unexposedHosts: ['a.example.com'] },
    ['b.example.com', 'a.example.com'],
  ],
])('an endpoint of workers that was %s keeps its rule', (_, record, exposed) => {
  expect(answered(record, { host: 'b.example.com' }).exposed).toEqual(exposed);
});

/** A deploy of a plane at `localhost` with another HOST, as far as the step that tells of it. */
async function moving(allowDataLoss: boolean) {
  const store = new InfraStore();
  await putPlane(store);
  const { cluster } = store;
  const held = { cluster, reporter: quietReporter, timeout: 1000, signal: new AbortController().signal };
  const record = (await readRecord(cluster))!;
  const wanted = parseSpec({ ...record.spec, host: 'b.example.com' }, 'a test');
  const announced = announceMove({ cluster, held, record, spec: wanted, allowDataLoss } as DeployState);
  return { store, announced };
}

test('another HOST is refused without --yes, and nothing is written', async () => {
  const { store, announced } = await moving(false);
  await expect(announced).rejects.toEqual(
    refused('address-moves', 'localhost', 'b.example.com', 'worker.sh configure', '--yes'),
  );
  expect((await readRecord(store.cluster))!.earlierHosts).toBeUndefined();
});

test('the record keeps the old name, which has its rule and its place in the certificate, also when another name follows', async () => {
  const { store, announced } = await moving(true);
  await announced;
  const record = (await readRecord(store.cluster))!;
  expect(record.earlierHosts).toEqual(['localhost']);
  // While the change is under way the spec of the record is the old one, and its HOST no earlier one.
  const before = await openPlane(store.cluster);
  expect(before.addresses.earlierHosts).toEqual([]);
  const next = { ...before, spec: { ...before.spec, host: 'b.example.com' }, record };
  const addresses = { ...before.addresses, earlierHosts: ['localhost'] };
  expect(certificateContext('team', next.spec, addresses).extraSans).toContain('localhost');
  const [ingress] = renderPlane({ ...next, addresses }).exposure as unknown as {
    spec: { rules: { host: string }[] };
  }[];
  expect(ingress!.spec.rules.map(({ host }) => host)).toEqual(['b.example.com', 'localhost']);
});

test.each<[string, Partial<ClusterSpecInput>, Partial<ClusterSpecInput>, boolean]>([
  ['to a relay on each worker', {}, { inCluster: 'loopback' }, true],
  ['away from it', { inCluster: 'loopback' }, {}, false],
  ['another address of it', { inCluster: 'loopback' }, { inCluster: 'loopback', loopbackAddress: '10.1.1.1' }, true],
  ['another node port, to which it leads', { inCluster: 'loopback' }, { inCluster: 'loopback', nodePort: 30001 }, true],
  ['a node port that no relay knows', {}, { nodePort: 30001 }, false],
  ['something else', { inCluster: 'loopback' }, { inCluster: 'loopback', replicas: 2 }, false],
])('pods of the workers need a relay that is not there yet: %s', (_, before, after, needed) => {
  expect(relayChanges(spec(before), spec(after))).toBe(needed);
});
