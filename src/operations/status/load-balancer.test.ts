import { expect, test } from 'vitest';
import { type BalancerStatus, balancerProblems } from './load-balancer.ts';

const whole: BalancerStatus = { at: ['192.0.2.7'], resolved: ['192.0.2.7'], hostLeadsTo: ['192.0.2.7'], stale: [] };
const found = (changed: Partial<BalancerStatus>, host = 'k.example.com') =>
  balancerProblems({ host, namespace: 'team' }, { ...whole, ...changed }).map(({ anchor, severity }) => [
    anchor,
    severity,
  ]);

test.each([
  ['as it should be', {}, []],
  ['HOST is not looked at', { hostLeadsTo: undefined, resolved: [] }, []],
  ['there is none', { at: [], says: 'no address left' }, [['no-load-balancer', 'fatal']]],
  ['HOST leads elsewhere', { hostLeadsTo: ['192.0.2.1'] }, [['load-balancer-moved', 'warning']]],
  ['HOST leads nowhere', { hostLeadsTo: [] }, [['load-balancer-moved', 'warning']]],
  ['a name, and HOST leads where it leads', { at: ['lb.example.com'] }, []],
  ['API servers publish an earlier address', { stale: ['192.0.2.1'] }, [['load-balancer-moved', 'fatal']]],
])('%s', (_, changed, expected) => {
  expect(found(changed)).toEqual(expected);
});

test('of an address that has changed, the remedy is a deploy with the new one', () => {
  expect(found({ hostLeadsTo: ['192.0.2.1'] }, '192.0.2.1')).toEqual([['load-balancer-moved', 'warning']]);
});
