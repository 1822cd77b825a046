import { describe, expect, it } from 'vitest';
import { canonicalIp, ipBytes } from './addresses.ts';

describe('canonicalIp', () => {
  it.each([
    ['10.3.0.1', '10.3.0.1'],
    ['FD00:0:0::1', 'fd00::1'],
    ['[::1]', '::1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['::ffff:10.0.0.1', '::ffff:a00:1'],
  ])('%s is the address %s', (text, address) => expect(canonicalIp(text)).toBe(address));

  it.each([
    '',
    'localhost',
    '10.3.0',
    '10.3.0.256',
    '10.3.0.01',
    '1.2.3.4.5',
    'fd00::1::2',
    'fe80::1%eth0',
    'fd00::1/64',
    'a:b',
    'example.com:443',
  ])('%j is no address', (text) => expect(canonicalIp(text)).toBeUndefined());
});

describe('ipBytes', () => {
  it.each([
    ['10.3.0.255', '0a0300ff'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['fd00::', 'fd000000000000000000000000000000'],
    ['2001:db8:1:2:3:4:5:6', '20010db8000100020003000400050006'],
    ['2001:db8::ff:0:6', '20010db800000000000000ff00000006'],
  ])('%s is %s', (text, hex) => expect(ipBytes(text).toString('hex')).toBe(hex));

  it('refuses a name', () => expect(() => ipBytes('localhost')).toThrow('not an IP address: localhost'));
});
