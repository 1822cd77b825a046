import { expect, test } from 'vitest';
import { type ExposureName, exposureNames } from '../../config/exposure.ts';
import { parseSpec } from '../../config/parse.ts';
import type { ClusterSpecInput } from '../../config/schema.ts';
import { verdictOf } from './exposure.ts';
import { type Gateway, listenerProblem } from './gateway/listeners.ts';
import { buildExposure, leadsOtherwise, leadsTo } from './table.ts';

const tls = {
  name: 'tls',
  protocol: 'TLS',
  tls: { mode: 'Passthrough' },
  allowedRoutes: { namespaces: { from: 'All' } },
};
const problem = (
  listener: object,
  rest: Partial<Gateway> = {},
  gateway = 'edge/shared',
  names: { moreHosts?: string[]; tunnelHost?: string } = {},
) =>
  listenerProblem(
    { metadata: { namespace: 'edge' }, spec: { listeners: [{ ...tls, ...listener }] }, ...rest },
    { gateway, host: 'k.example.com', moreHosts: [], ...names },
    'team-a',
  );

test.each([
  ['of another protocol', { protocol: 'HTTPS' }, 'HTTPS'],
  ['that ends TLS', { tls: { mode: 'Terminate' } }, 'Terminate'],
  ['without a mode, which ends TLS', { tls: {} }, 'Terminate'],
  ['for other names', { hostname: '*.example.org' }, '*.example.org'],
  ['for its own namespace', { allowedRoutes: {} }, 'namespace'],
  ['for other kinds', { allowedRoutes: { namespaces: { from: 'All' }, kinds: [{ kind: 'HTTPRoute' }] } }, 'TLSRoutes'],
])('a listener %s takes no plane', (_, listener, fact) => {
  expect(problem(listener)).toContain(fact);
});

test('a listener that fits takes the plane, and so does one whose selector only the Gateway knows', () => {
  expect(problem({})).toBeUndefined();
  expect(problem({ hostname: '*.example.com' })).toBeUndefined();
  expect(problem({ allowedRoutes: { namespaces: { from: 'Selector' } } })).toBeUndefined();
});

test.each([
  ['another name', { moreHosts: ['k.example.org'] }, 'k.example.org'],
  ['the name of the tunnels', { tunnelHost: 'k-tunnel.example.org' }, 'k-tunnel.example.org'],
])('%s needs a listener as well', (_, names, fact) => {
  expect(problem({ hostname: '*.example.com' }, {}, undefined, names)).toContain(fact);
  expect(problem({}, {}, undefined, names)).toBeUndefined();
  const second = { ...tls, name: 'second', hostname: '*.example.org' };
  const spec = { listeners: [{ ...tls, hostname: 'k.example.com' }, second] };
  expect(problem({}, { spec }, undefined, names)).toBeUndefined();
});

test('a controller that takes no TLSRoutes says so in the status of the listener', () => {
  const supporting = (kind: string) => ({ status: { listeners: [{ name: 'tls', supportedKinds: [{ kind }] }] } });
  expect(problem({}, supporting('TCPRoute'))).toContain('TLSRoutes');
  expect(problem({}, supporting('TLSRoute'))).toBeUndefined();
});

test('a listener that is named and not there is told', () => {
  expect(problem({}, {}, 'edge/shared/other')).toContain('other');
});

test('of several controllers one that takes an object is enough', () => {
  const says = (status: string, reason?: string) => [{ type: 'Accepted', status, reason }];
  expect(verdictOf([], ['Accepted'])).toEqual({ state: 'waiting' });
  expect(verdictOf([says('Unknown')], ['Accepted'])).toEqual({ state: 'waiting' });
  expect(verdictOf([says('False', 'NoMatchingParent')], ['Accepted'])).toEqual({
    state: 'refused',
    why: 'NoMatchingParent',
  });
  expect(verdictOf([says('False'), says('True')], ['Accepted'])).toEqual({ state: 'taken' });
});

const specOf = (more: Partial<ClusterSpecInput>) => parseSpec({ host: 'k.example.com', ...more }, 'a test');
const wayOf = (expose: ExposureName) => specOf({ expose, ...(expose === 'gateway' && { gateway: 'edge/shared' }) });
const pairs = exposureNames.flatMap((before) => exposureNames.map((next) => [before, next] as const));

test.each(pairs)('from %s to %s another thing leads to the plane, unless it is the same', (before, next) => {
  expect(leadsOtherwise(wayOf(before), wayOf(next))).toBe(before !== next);
  const earlier = buildExposure('plane-1', wayOf(before));
  expect(earlier.every((object) => leadsTo(wayOf(before), object))).toBe(true);
  if (before !== next) expect(earlier.some((object) => leadsTo(wayOf(next), object))).toBe(false);
});

test.each<[string, Partial<ClusterSpecInput>, Partial<ClusterSpecInput>, boolean]>([
  ['another Gateway', { expose: 'gateway', gateway: 'a/b' }, { expose: 'gateway', gateway: 'a/c' }, true],
  ['another class', { ingressClass: 'a' }, { ingressClass: 'b' }, true],
  ['other annotations', {}, { ingressAnnotations: { 'example.com/a': 'b' } }, true],
  ['one more name', {}, { moreHosts: ['k.example.org'] }, false],
  ['a name for tunnels', {}, { tunnelHost: 't.example.com', inCluster: 'loopback' }, false],
  ['another HOST', {}, { host: 'k.example.org' }, false],
  ['something else', {}, { replicas: 2 }, false],
])('%s: whether another thing leads to the plane', (_, before, next, otherwise) => {
  expect(leadsOtherwise(specOf(before), specOf(next))).toBe(otherwise);
});
