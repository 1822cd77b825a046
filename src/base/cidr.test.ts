import { expect, test } from 'vitest';
import { contains, nthAddress, overlaps, parseCidr } from './cidr.ts';

test('addresses are counted from the start of the network', () => {
  expect(nthAddress(parseCidr('10.3.0.0/16')!, 10)).toBe('10.3.0.10');
  expect(nthAddress(parseCidr('10.3.0.0/16')!, 300)).toBe('10.3.1.44');
});

test('networks overlap when one holds the other or they share addresses', () => {
  const overlap = (a: string, b: string) => overlaps(parseCidr(a)!, parseCidr(b)!);
  expect(overlap('10.0.0.0/8', '10.3.0.0/16')).toBe(true);
  expect(overlap('10.2.0.0/16', '10.3.0.0/16')).toBe(false);
});

test('an address lies inside or outside', () => {
  expect(contains(parseCidr('192.168.0.0/16')!, '192.168.255.255')).toBe(true);
  expect(contains(parseCidr('192.168.0.0/16')!, '192.169.0.0')).toBe(false);
  expect(contains(parseCidr('192.168.0.0/16')!, 'fd00::1')).toBe(false);
});

test('what is no IPv4 network is not parsed', () => {
  for (const text of ['10.0.0.0', '10.0.0.0/33', 'fd00::/8', '', 'x/8']) expect(parseCidr(text), text).toBeUndefined();
});
