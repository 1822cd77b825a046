import { loadAll } from 'js-yaml';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { parseSpec } from '../../src/config/parse.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { buildExposure } from '../../src/plane/exposures/table.ts';
import { runDeployChecks } from '../../src/preflight/deploy-checks.ts';
import policies from '../../templates/rights/hosts.yaml';
import { connectByFile } from '../connect-by-file.ts';
import { soon } from '../until.ts';
import { definition } from './definition.ts';
import { adminKubeconfig, type Delegate, newNamespace, request } from './world.ts';

// The policies that give each HOST to the namespaces of its owner, tried against each way to claim one. They are bound to this test's
// namespaces alone.

const label = { 'k8sk8s.io/hosts-test': 'yes' };

interface Binding extends KubeObject {
  spec: { matchResources: { namespaceSelector: { matchLabels?: object } } };
}

const kinds: Record<string, [group: string, plural: string]> = {
  TLSRoute: ['gateway.networking.k8s.io', 'tlsroutes'],
  HTTPRoute: ['gateway.networking.k8s.io', 'httproutes'],
  ListenerSet: ['gateway.networking.k8s.io', 'listenersets'],
  Route: ['route.openshift.io', 'routes'],
  IngressRouteTCP: ['traefik.io', 'ingressroutetcps'],
  IngressRoute: ['traefik.io', 'ingressroutes'],
};

let home: Delegate;
let other: Delegate;

/** Creates an object as the infra administrator does it for a tenant, and takes it away. @returns what the server says; undefined when it takes it */
async function refusalOf(
  delegate: Delegate,
  kind: string,
  spec: object,
  annotations = {},
): Promise<string | undefined> {
  const [group, plural] = kinds[kind] ?? ['networking.k8s.io', 'ingresses'];
  const at = `/apis/${group}/v1/namespaces/${delegate.name}/${plural}`;
  const object = { apiVersion: `${group}/v1`, kind, metadata: { name: 'claim', annotations }, spec };
  try {
    await request(delegate.admin, 'POST', at, object);
    await request(delegate.admin, 'DELETE', `${at}/claim`);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

const backend = { service: { name: 'apiserver', port: { number: 443 } } };
const http = { paths: [{ path: '/', pathType: 'Prefix', backend }] };
const ingress = (...hosts: (string | undefined)[]) => ({
  rules: hosts.map((host) => ({ ...(host && { host }), http })),
});
const traefik = (...matches: string[]) => ({ routes: matches.map((match) => ({ match, kind: 'Rule' })) });

/** What the whole API server has of this test, each with the path of its kind. */
const shared = [
  ...Object.entries(kinds).map(([kind, [group, plural]]) => ({
    at: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
    object: definition(group, 'v1', kind, plural),
  })),
  ...(loadAll(policies) as Binding[]).map((object) => {
    const plural = object.kind === 'ValidatingAdmissionPolicy' ? 'policies' : 'policybindings';
    if (plural === 'policybindings') object.spec.matchResources.namespaceSelector.matchLabels = label;
    return { at: `/apis/admissionregistration.k8s.io/v1/validatingadmission${plural}`, object };
  }),
];

const admin = connectByFile(adminKubeconfig, 'default');

beforeAll(async () => {
  for (const { at, object } of shared) await request(admin, 'POST', at, object);
  const names = 'k.example.com, *.team.example.com';
  home = await newNamespace({ labels: label, annotations: { 'k8sk8s.io/hosts': names } });
  other = await newNamespace({ labels: label });
  for (const kind of ['Ingress', ...Object.keys(kinds)])
    await vi.waitFor(
      async () =>
        expect(await refusalOf(other, kind, kind === 'Ingress' ? ingress('k.example.com') : {})).toMatch(
          /k8sk8s-hosts/,
        ),
      soon,
    );
}, 240_000);

// Other files have the same API server.
afterAll(async () => {
  for (const { at, object } of shared) await request(admin, 'DELETE', `${at}/${object.metadata.name}`);
});

test('P2: the ingress of a plane belongs to the namespace that has the name, and to no other', async () => {
  const claim = (host: string) =>
    buildExposure('plane-0', parseSpec({ host }, 'test'))[0] as KubeObject & { spec: object };
  expect(await refusalOf(home, 'Ingress', claim('k.example.com').spec)).toBeUndefined();
  expect(await refusalOf(home, 'Ingress', claim('a.team.example.com').spec)).toBeUndefined();
  const refusal = await refusalOf(other, 'Ingress', claim('k.example.com').spec);
  for (const fact of ['k.example.com', other.name, 'k8sk8s.io/hosts']) expect(refusal).toContain(fact);
});

const mine = 'k.example.com';
const theirs = 'foreign.example.com';
const allowed: [kind: string, spec: object, annotations?: object][] = [
  ['Ingress', ingress(mine, 'b.team.example.com')],
  ['Ingress', { ...ingress(mine), tls: [{ hosts: [mine] }, {}] }],
  ['TLSRoute', { hostnames: [mine] }],
  ['HTTPRoute', { hostnames: ['x.y.team.example.com', mine] }],
  ['ListenerSet', { listeners: [{ name: 'a', hostname: mine }] }],
  ['Route', { host: mine, tls: { termination: 'passthrough' } }],
  ['IngressRouteTCP', traefik(`HostSNI(\`${mine}\`)`)],
  ['IngressRouteTCP', traefik(`HostSNI("K.Example.com") || HostSNI(\`b.team.example.com\`)`, `hostsni(\`${mine}\`)`)],
  ['IngressRoute', traefik(`Host(\`${mine}\`) && PathPrefix(\`/\`)`)],
];
const refused: [kind: string, spec: object, annotations?: object][] = [
  ['Ingress', ingress(theirs)],
  ['Ingress', ingress(mine, theirs)],
  ['Ingress', ingress(undefined)],
  ['Ingress', ingress('*.team.example.com')],
  ['Ingress', ingress('team.example.com')],
  ['Ingress', ingress('eviltream.example.com')],
  ['Ingress', { defaultBackend: backend }],
  ['Ingress', { ...ingress(mine), defaultBackend: backend }],
  ['Ingress', { ...ingress(mine), tls: [{ hosts: [theirs] }] }],
  ['Ingress', ingress(mine), { 'nginx.ingress.kubernetes.io/server-alias': `${mine}, ${theirs}` }],
  ['TLSRoute', { hostnames: [theirs] }],
  ['TLSRoute', { hostnames: ['*.team.example.com'] }],
  ['TLSRoute', { hostnames: [] }],
  ['TLSRoute', {}],
  ['HTTPRoute', { hostnames: [mine, theirs] }],
  ['ListenerSet', { listeners: [{ name: 'a', hostname: mine }, { name: 'b' }] }],
  ['Route', { host: theirs }],
  ['Route', {}],
  ['Route', { host: mine, wildcardPolicy: 'Subdomain' }],
  ['IngressRouteTCP', traefik('HostSNI(`*`)')],
  ['IngressRouteTCP', traefik(`HostSNI(\`${theirs}\`)`)],
  ['IngressRouteTCP', traefik(`HostSNI(\`${mine}\`) || HostSNI(\`${theirs}\`)`)],
  ['IngressRouteTCP', traefik(`HostSNI(\`${mine}\`, \`${theirs}\`)`)],
  ['IngressRouteTCP', traefik(`HostSNI(\`${mine}\`)`, `HostSNI(\`${theirs}\`)`)],
  ['IngressRouteTCP', traefik('HostSNIRegexp(`.*`)')],
  ['IngressRouteTCP', traefik(`!HostSNI(\`${mine}\`)`)],
  ['IngressRouteTCP', traefik(`HostSNI(\`${mine}\`) || ClientIP(\`0.0.0.0/0\`)`)],
  ['IngressRouteTCP', traefik(`HostSNI(\`${mine}\`) && (ALPN(\`h2\`) || HostSNI(\`${theirs}\`))`)],
  ['IngressRouteTCP', {}],
  ['IngressRoute', traefik('PathPrefix(`/`)')],
  ['IngressRoute', traefik(`Host(\`${theirs}\`) && PathPrefix(\`/\`)`)],
];

test.each(allowed)('%s %j is taken', async (kind, spec, annotations) => {
  expect(await refusalOf(home, kind, spec, annotations)).toBeUndefined();
});

test.each(refused)('%s %j %j is refused', async (kind, spec, annotations) => {
  expect(await refusalOf(home, kind, spec, annotations)).toMatch(/k8sk8s-hosts/);
});

test("the tenant cannot give itself a name, and the administrator's own namespaces may have any", async () => {
  const annotate = request(other.cluster, 'PUT', `/api/v1/namespaces/${other.name}`, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: other.name, annotations: { 'k8sk8s.io/hosts': mine } },
  });
  await expect(annotate).rejects.toMatchObject({ status: 403 });
  const free = await newNamespace({ labels: { ...label, 'k8sk8s.io/hosts': 'any' } });
  expect(await refusalOf(free, 'Ingress', ingress('*.example.com', undefined))).toBeUndefined();
});

test('what was there before can be labelled and deleted, and not be led elsewhere', async () => {
  const before = await newNamespace({ labels: { ...label, 'k8sk8s.io/hosts': 'any' } });
  const at = `/apis/networking.k8s.io/v1/namespaces/${before.name}/ingresses`;
  const made = (await request(before.admin, 'POST', at, {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name: 'old' },
    spec: ingress(theirs),
  })) as KubeObject & { spec: object };
  const namespace = (await request(before.admin, 'GET', `/api/v1/namespaces/${before.name}`)) as KubeObject;
  await request(before.admin, 'PUT', `/api/v1/namespaces/${before.name}`, {
    ...namespace,
    metadata: { ...namespace.metadata, labels: label },
  });
  await expect.poll(() => refusalOf(before, 'Ingress', ingress(theirs)), soon).toMatch(/k8sk8s-hosts/);
  const labelled = (await request(before.admin, 'PUT', `${at}/old`, {
    ...made,
    metadata: { ...made.metadata, labels: { kept: 'yes' } },
  })) as typeof made;
  const moved = request(before.admin, 'PUT', `${at}/old`, { ...labelled, spec: ingress('more.example.com') });
  await expect(moved).rejects.toThrow(/k8sk8s-hosts/);
  await request(before.admin, 'DELETE', `${at}/old`);
});

test('the preflight of a plane says whose the name is', async () => {
  const results = await runDeployChecks(other.cluster, parseSpec({ host: 'localhost' }, 'test'));
  const found = results.find(({ name }) => name === 'ingress')!;
  expect(JSON.stringify(found.outcome)).toContain('k8sk8s.io/hosts');
});
