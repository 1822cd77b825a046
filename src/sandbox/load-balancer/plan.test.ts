import { expect, test } from 'vitest';
import type { Service } from '../../kube/objects.ts';
import { chooseAddress, isBalanced, ownClass, poolOf, wishAnnotation, wishOf } from './plan.ts';

const pool = poolOf('10.200.7');

function service(wish?: string, spec: Partial<Service['spec']> = {}): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'apiserver', ...(wish !== undefined && { annotations: { [wishAnnotation]: wish } }) },
    spec: { type: 'LoadBalancer', ...spec },
  };
}

test('it speaks for Services of its own class and of none', () => {
  expect(isBalanced(service())).toBe(true);
  expect(isBalanced(service(undefined, { loadBalancerClass: ownClass }))).toBe(true);
  expect(isBalanced(service(undefined, { loadBalancerClass: 'example.com/internal' }))).toBe(false);
  expect(isBalanced(service(undefined, { type: 'NodePort' }))).toBe(false);
});

test.each([
  [undefined, { kind: 'address', after: 0 }],
  ['none', { kind: 'none', after: 0 }],
  ['name', { kind: 'name', after: 0 }],
  ['late=5', { kind: 'address', after: 5000 }],
  ['10.200.7.210', { kind: 'address', after: 0, address: '10.200.7.210' }],
])('annotation %s', (text, wish) => {
  expect(wishOf(service(text))).toEqual(wish);
});

test.each([
  ['the first one', undefined, undefined, [], '10.200.7.200'],
  ['the one that it had', undefined, '10.200.7.233', [], '10.200.7.233'],
  ['another one than others have', undefined, undefined, ['10.200.7.200', '10.200.7.201'], '10.200.7.202'],
  ['not what it had and another one has', undefined, '10.200.7.200', ['10.200.7.200'], '10.200.7.201'],
  ['not what it had elsewhere', undefined, '192.0.2.1', [], '10.200.7.200'],
  ['the one that is asked for', '10.200.7.240', '10.200.7.200', [], '10.200.7.240'],
])('a Service gets %s', (_, wish, had, taken, address) => {
  expect(chooseAddress(wishOf(service(wish)), pool, had, new Set(taken))).toEqual({ address });
});

test.each([
  ['the pool is empty', '', pool],
  ['its address is taken', '10.200.7.201', ['10.200.7.201']],
  ['its address is of another network', '192.0.2.1', []],
  ['it asks for none', 'none', []],
])('a Service gets none when %s', (_, wish, taken) => {
  expect(chooseAddress(wishOf(service(wish)), pool, undefined, new Set(taken))).toHaveProperty('why');
});
