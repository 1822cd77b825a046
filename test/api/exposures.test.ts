import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseSpec } from '../../src/config/parse.ts';
import type { ClusterSpecInput } from '../../src/config/schema.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { pathOf, resourceOf } from '../../src/kube/resources.ts';
import { connectWhole } from '../../src/kube/whole-cluster.ts';
import { Existing } from '../../src/live/apply.ts';
import { buildExposure } from '../../src/plane/exposures/table.ts';
import { runDeployChecks } from '../../src/preflight/deploy-checks.ts';
import { untilTaken } from '../../src/rollout/exposed.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { told } from '../../src/ui/words.ts';
import { connectByFile } from '../connect-by-file.ts';
import { refused } from '../refused.ts';
import { soon } from '../until.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { definition } from './definition.ts';

// Ways to a plane by kinds that not every infra cluster serves, on an API server of its own. OpenShift's router and HAProxy's
// controllers do not run here: the objects are judged by minimal definitions, which name every field that is sent, and their
// controllers' words are written into the status by the tests.

let plane: ControlPlane;
let admin: string;
const connect = () => connectByFile(admin, 'default');
const ways = {
  gateway: { expose: 'gateway', gateway: 'edge/shared/tls' },
  traefik: { expose: 'traefik', ingressClass: 'internal' },
  route: { expose: 'route' },
} as const satisfies Record<string, Partial<ClusterSpecInput>>;
const specOf = (way: keyof typeof ways) =>
  parseSpec({ host: 'localhost', moreHosts: ['other.example.com'], ...ways[way] }, 'a test');

const text = { type: 'string' };
const number = { type: 'integer' };
const list = (items: object) => ({ type: 'array', items });
const fields = (properties: object) => ({ type: 'object', properties });

const definitions = [
  definition(
    'gateway.networking.k8s.io',
    'v1alpha2',
    'TLSRoute',
    'tlsroutes',
    fields({
      parentRefs: list(fields({ name: text, namespace: text, sectionName: text })),
      hostnames: list(text),
      rules: list(fields({ backendRefs: list(fields({ name: text, port: number })) })),
    }),
  ),
  definition(
    'traefik.io',
    'v1alpha1',
    'IngressRouteTCP',
    'ingressroutetcps',
    fields({
      routes: list(
        fields({ match: text, services: list(fields({ name: text, port: number, nativeLB: { type: 'boolean' } })) }),
      ),
      tls: fields({ passthrough: { type: 'boolean' } }),
    }),
  ),
  definition(
    'route.openshift.io',
    'v1',
    'Route',
    'routes',
    fields({
      host: text,
      to: fields({ kind: text, name: text, weight: number }),
      port: fields({ targetPort: text }),
      tls: fields({ termination: text, insecureEdgeTerminationPolicy: text }),
      wildcardPolicy: text,
    }),
  ),
];

/** What the checks of a way say, by their names. */
async function checked(cluster: InfraCluster, way: keyof typeof ways) {
  const results = await runDeployChecks(cluster, specOf(way));
  return Object.fromEntries(results.map(({ name, outcome }) => [name, JSON.stringify(told(outcome))]));
}

function work(signal = new AbortController().signal) {
  return { reporter: quietReporter, timeout: 20_000, signal };
}

/** What a controller writes about an object. */
async function report(cluster: InfraCluster, object: KubeObject, status: object): Promise<void> {
  await cluster.transport.request({
    method: 'PATCH',
    path: `${pathOf(resourceOf(object), 'default', object.metadata.name)}/status`,
    body: { status },
    contentType: 'application/merge-patch+json',
  });
}

beforeAll(async () => {
  plane = await startControlPlane([], () => []);
  admin = await plane.kubeconfig('admin', ['system:masters']);
}, 180_000);

afterAll(() => plane.stop());

test.each(Object.keys(ways) as (keyof typeof ways)[])('%s: a cluster that has no such kind is told of', async (way) => {
  const cluster = connect();
  const { 'exposure-served': served, ingress } = await checked(cluster, way);
  expect(served).toContain('"state":"failed"');
  expect(ingress).toBeUndefined();
  expect((await Existing.read(cluster)).ofKind('Route')).toEqual([]);
});

test.each(Object.keys(ways) as (keyof typeof ways)[])('%s: its objects are what the kind has', async (way) => {
  if (way === 'gateway') for (const each of definitions) await connectWhole(connect().transport.connection).apply(each);
  const cluster = connect();
  await expect.poll(async () => Boolean(await connect().served(buildExposure('p', specOf(way))[0]!)), soon).toBe(true);
  const outcomes = await checked(cluster, way);
  expect(outcomes['exposure-served']).toContain(way === 'gateway' ? 'v1alpha2' : '"state":"ok"');
  expect(outcomes.ingress).toContain('"state":"ok"');
  const objects = buildExposure('plane-one', specOf(way));
  const applied = await Promise.all(objects.map((each) => cluster.apply(each)));
  const found = await Existing.read(cluster);
  expect(found.ofKind(objects[0]!.kind)).toHaveLength(way === 'route' ? 2 : 1);
  for (const each of applied) expect(await cluster.delete(each, each.metadata.name)).toBe(true);
});

test('a Gateway without a controller: the silence counts after ten seconds, and the version that is served is named', async () => {
  const cluster = connect();
  const [route] = buildExposure('plane-one', specOf('gateway'));
  const applied = await cluster.apply(route!);
  await expect(untilTaken(cluster, specOf('gateway'), [applied], work())).rejects.toEqual(
    refused('exposure-not-taken', 'edge/shared/tls', 'v1alpha2'),
  );
  const parent = (conditions: object[]) => ({ parents: [{ parentRef: { name: 'shared' }, conditions }] });
  const [accepted, resolved] = ['Accepted', 'ResolvedRefs'].map((type) => ({ type, status: 'True' }));
  await report(
    cluster,
    applied,
    parent([{ type: 'Accepted', status: 'False', reason: 'NotAllowedByListeners' }, resolved!]),
  );
  await expect(untilTaken(cluster, specOf('gateway'), [applied], work())).rejects.toEqual(
    refused('exposure-not-taken', 'NotAllowedByListeners'),
  );
  await report(cluster, applied, parent([accepted!, resolved!]));
  await untilTaken(cluster, specOf('gateway'), [applied], work());
});

test('a Route whose host another namespace has is told with the words of the router', async () => {
  const cluster = connect();
  const applied = await Promise.all(buildExposure('plane-one', specOf('route')).map((each) => cluster.apply(each)));
  const admitted = (status: string, reason?: string) => ({
    ingress: [{ conditions: [{ type: 'Admitted', status, reason }] }],
  });
  await report(cluster, applied[0]!, admitted('True'));
  await report(cluster, applied[1]!, admitted('False', 'HostAlreadyClaimed'));
  await expect(untilTaken(cluster, specOf('route'), applied, work())).rejects.toEqual(
    refused('exposure-not-taken', 'HostAlreadyClaimed'),
  );
});

test('who may not read such objects has none, and goes on', async () => {
  const nobody = connectByFile(await plane.kubeconfig('nobody', []), 'default');
  expect(await nobody.get({ apiVersion: 'route.openshift.io/v1', kind: 'Route' }, 'k8s-on-k8s')).toBeUndefined();
  expect((await nobody.list({ apiVersion: 'traefik.io/v1alpha1', kind: 'IngressRouteTCP' })).items).toEqual([]);
});
