import { expect, test } from 'vitest';
import type * as z from 'zod';
import { cidr, etcdStorage, hostName, nodePort, opening, port, resources, toleration, version } from './values.ts';

const refusal = (schema: z.ZodType, value: unknown) => schema.safeParse(value).error?.issues[0]?.message;

test.each([
  ['https://k.example.com', ' k.example.com'],
  ['k example', 'space'],
  ['*.example.com', 'wildcard'],
  ['k.example.com.', ' k.example.com'],
  ['k.example.com:6443', '-p 6443'],
  [`${'a'.repeat(64)}.com`, '63'],
  [`${'a.'.repeat(130)}com`, '253'],
  ['fd00::1', 'IPv6'],
  ['300.1.1.1', 'IPv4'],
  ['', 'empty'],
  ['Has_Underscore', 'Has_Underscore'],
])('host %j is refused, and the fact that matters is named', (host, fact) => {
  expect(refusal(hostName, host)).toContain(fact);
});

test.each([
  ['10.3.0.0', 'CIDR'],
  ['10.3.1.0/16', '10.3.0.0/16'],
  ['10.3.0.0/30', '/28'],
  ['10.0.0.0/8', '/12'],
  ['fd00::/64', 'IPv6'],
])('network %j is refused, and the fact that matters is named', (network, fact) => {
  expect(refusal(cidr(12, 28), network)).toContain(fact);
});

test.each([
  ['1.20', version, '1.37'],
  [0, port, '65535'],
  [80, nodePort, '1024'],
  ['a b', toleration, 'kubectl taint'],
  ['huge', resources, 'small'],
  ['512Mi', etcdStorage, '1Gi'],
])('%j is refused, and the fact that matters is named', (value, schema, fact) => {
  expect(refusal(schema, value)).toContain(fact);
});

test.each([
  '10.20.0.0/16',
  '0.0.0.0/0',
  'fd12::/16',
  '10.20.0.1',
  '10.20.0.1:8443',
  'hooks.corp.example',
  'h.corp.example:8443',
])('the gate can be opened for %s', (target) => {
  expect(opening.safeParse(target).success).toBe(true);
});

test.each([
  ['10.20.0.0/33', 'CIDR'],
  ['10.20/16', 'CIDR'],
  ['https://hooks.corp.example', 'CIDR'],
  ['fd12::1', 'fd12::1/128'],
  ['hooks.corp.example:0', '65535'],
  ['hooks.corp.example:70000', '65535'],
  ['*.corp.example', 'wildcard'],
  ['', 'empty'],
  ['127.0.0.1', 'no pod of the plane'],
  ['127.0.0.0/8', 'no pod of the plane'],
  ['169.254.169.254:80', 'no pod of the plane'],
  ['fe80::/10', 'no pod of the plane'],
  ['::ffff:10.0.0.0/104', 'no pod of the plane'],
])('and not for %j', (target, words) => {
  expect(opening.safeParse(target).error?.issues[0]?.message).toContain(words);
});
