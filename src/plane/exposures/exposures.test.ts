import { expect, test } from 'vitest';
import { verdictOf } from './exposure.ts';
import { type Gateway, listenerProblem } from './gateway/listeners.ts';

const tls = {
  name: 'tls',
  protocol: 'TLS',
  tls: { mode: 'Passthrough' },
  allowedRoutes: { namespaces: { from: 'All' } },
};
const problem = (listener: object, rest: Partial<Gateway> = {}, gateway = 'edge/shared') =>
  listenerProblem(
    { metadata: { namespace: 'edge' }, spec: { listeners: [{ ...tls, ...listener }] }, ...rest },
    { gateway, host: 'k.example.com' },
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
