import { expect, test } from 'vitest';
import { Judgement } from './judgement.ts';

const strict = new Judgement({ closed: ['11.96.0.0/12', '203.0.114.7/32'], open: [] });

test.each([
  ['127.0.0.1', 'this pod itself'],
  ['127.255.255.254', 'this pod itself'],
  ['0.0.0.0', 'this pod itself, by another name'],
  ['10.0.0.1', 'RFC 1918'],
  ['172.16.0.1', 'RFC 1918'],
  ['172.31.255.255', 'RFC 1918'],
  ['192.168.1.1', 'RFC 1918'],
  ['100.64.0.1', 'a carrier, and pods of some clouds'],
  ['100.127.255.254', 'a carrier'],
  ['169.254.169.254', 'the metadata of a cloud'],
  ['224.0.0.1', 'a group'],
  ['255.255.255.255', 'everybody'],
  ['240.0.0.1', 'nobody yet'],
  ['192.0.2.1', 'an example'],
  ['198.18.0.1', 'a benchmark'],
  ['192.0.0.192', 'the metadata of another cloud'],
  ['11.100.0.1', 'a service of the infra cluster'],
  ['203.0.114.7', 'the pod of etcd'],
  ['::', 'this pod itself'],
  ['::1', 'this pod itself'],
  ['fe80::1', 'link-local'],
  ['fe80::1%eth0', 'link-local, with its interface'],
  ['fec0::1', 'site-local'],
  ['fc00::1', 'unique local'],
  ['fd00:ec2::254', 'the metadata of a cloud'],
  ['ff02::1', 'a group'],
  ['::ffff:10.0.0.1', 'IPv4 inside of IPv6'],
  ['::ffff:8.8.8.8', 'IPv4 inside of IPv6, also of the Internet'],
  ['::10.0.0.1', 'IPv4 inside of IPv6, the old form'],
  ['64:ff9b::a00:1', 'IPv4 behind NAT64'],
  ['64:ff9b:1::a00:1', 'IPv4 behind a NAT64 of its own'],
  ['2002:a00:1::1', 'IPv4 inside of 6to4'],
  ['2001:0:a00:1::1', 'IPv4 inside of Teredo'],
  ['2001:db8::1', 'an example'],
  ['4000::1', 'nobody yet'],
  ['2130706433', 'no address: a number is none'],
  ['0x7f.1', 'no address in any other form'],
  ['localhost', 'no address'],
])('%s is closed: %s', (address) => {
  expect(strict.refuses(address, 'hook.example.com', 443)).toBeTypeOf('string');
});

test.each(['8.8.8.8', '172.32.0.1', '100.128.0.1', '203.0.114.8', '2606:4700::1111'])('%s is open', (address) => {
  expect(strict.refuses(address, 'hook.example.com', 443)).toBeUndefined();
});

const opened = new Judgement({
  closed: ['10.96.0.0/12'],
  open: ['10.96.7.0/24', '192.168.7.7', '172.16.0.1:8443', 'hook.corp.example', 'audit.corp.example:9443', 'fd12::/16'],
});

test.each([
  ['10.96.7.9', 'x', 443],
  ['192.168.7.7', 'x', 1],
  ['172.16.0.1', 'x', 8443],
  ['10.1.1.1', 'hook.corp.example', 443],
  ['10.1.1.1', 'Hook.Corp.Example.', 443],
  ['10.1.1.1', 'audit.corp.example', 9443],
  ['fd12::1', 'x', 443],
])('%s of %s at port %s was opened', (address, asked, port) => {
  expect(opened.refuses(address, asked, port)).toBeUndefined();
});

test.each([
  ['10.96.8.1', 'x', 443],
  ['192.168.7.8', 'x', 443],
  ['172.16.0.1', 'x', 443],
  ['10.1.1.1', 'other.corp.example', 443],
  ['10.1.1.1', 'hook.corp.example.evil.test', 443],
  ['10.1.1.1', 'audit.corp.example', 443],
  ['127.0.0.1', 'hook.corp.example', 443],
  ['169.254.169.254', 'hook.corp.example', 443],
  ['::ffff:10.1.1.1', 'hook.corp.example', 443],
])('%s of %s at port %s stays closed', (address, asked, port) => {
  expect(opened.refuses(address, asked, port)).toBeTypeOf('string');
});

test('not even everything opens what no one may reach from here', () => {
  const all = new Judgement({ closed: [], open: ['0.0.0.0/0', '::/0'] });
  expect(all.refuses('10.0.0.1', 'x', 443)).toBeUndefined();
  for (const address of ['127.0.0.1', '169.254.169.254', '::1', '::ffff:127.0.0.1', '64:ff9b::7f00:1'])
    expect(all.refuses(address, 'x', 443), address).toBeTypeOf('string');
});
