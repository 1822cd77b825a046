import { expect, test } from 'vitest';
import { contains, networksIn, nthAddress, overlaps, parseCidr } from './cidr.ts';

test('addresses are counted from the start of the network', () => {
  expect(nthAddress(parseCidr('10.3.0.0/16')!, 10)).toBe('10.3.0.10');
  expect(nthAddress(parseCidr('10.3.0.0/16')!, 300)).toBe('10.3.1.44');
  expect(nthAddress(parseCidr('fd00:3::/108')!, 10)).toBe('fd00:3::a');
  expect(nthAddress(parseCidr('fd00:3::7/108')!, 0)).toBe('fd00:3::');
});

test('networks overlap when one holds the other or they share addresses', () => {
  const overlap = (a: string, b: string) => overlaps(parseCidr(a)!, parseCidr(b)!);
  expect(overlap('10.0.0.0/8', '10.3.0.0/16')).toBe(true);
  expect(overlap('10.2.0.0/16', '10.3.0.0/16')).toBe(false);
  expect(overlap('fd00::/16', 'fd00:2::/56')).toBe(true);
  expect(overlap('fd00:2::/56', 'fd00:3::/108')).toBe(false);
  expect(overlap('0.0.0.0/0', '::/0')).toBe(false);
});

test('an address lies inside or outside', () => {
  expect(contains(parseCidr('192.168.0.0/16')!, '192.168.255.255')).toBe(true);
  expect(contains(parseCidr('192.168.0.0/16')!, '192.169.0.0')).toBe(false);
  expect(contains(parseCidr('192.168.0.0/16')!, 'fd00::1')).toBe(false);
  expect(contains(parseCidr('fd00:2::/56')!, 'fd00:2:0:ff::1')).toBe(true);
  expect(contains(parseCidr('fd00:2::/56')!, 'fd00:2:0:100::1')).toBe(false);
  expect(contains(parseCidr('fd00:2::/56')!, '10.2.0.1')).toBe(false);
});

test('two networks stand in the order in which they were given', () => {
  expect(networksIn('10.3.0.0/16,fd00:3::/108').map((each) => each?.family)).toEqual([4, 6]);
});

test('what is no network is not parsed', () => {
  for (const text of ['10.0.0.0', '10.0.0.0/33', 'fd00::/129', '10.0.0.0/8,fd00::/8', '', 'x/8'])
    expect(parseCidr(text), text).toBeUndefined();
});
