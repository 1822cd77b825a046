import { expect, test } from 'vitest';
import type * as z from 'zod';
import { cidr, etcdStorage, hostName, nodePort, opening, port, resources, toleration, version } from './values.ts';

const refusal = (schema: z.ZodType, value: unknown) => schema.safeParse(value).error?.issues[0]?.message;

test.each([
  ['https://k.example.com', 'only the host name: k.example.com'],
  ['k example', 'contains a space'],
  ['*.example.com', 'wildcard'],
  ['k.example.com.', 'write k.example.com'],
  ['k.example.com:6443', '-p 6443'],
  [`${'a'.repeat(64)}.com`, 'at most 63'],
  [`${'a.'.repeat(130)}com`, 'at most 253'],
  ['fd00::1', 'IPv6'],
  ['300.1.1.1', 'neither'],
  ['', 'is empty'],
  ['Has_Underscore', 'no host name may have'],
])('host %j is refused with words', (host, words) => {
  expect(refusal(hostName, host)).toContain(words);
});

test.each([
  ['10.3.0.0', 'CIDR form'],
  ['10.3.1.0/16', 'write 10.3.0.0/16'],
  ['10.3.0.0/30', 'too small'],
  ['10.0.0.0/8', 'too large'],
  ['fd00::/64', 'IPv6'],
])('network %j is refused with words', (network, words) => {
  expect(refusal(cidr(12, 28), network)).toContain(words);
});

test.each([
  ['1.20', version, 'no Kubernetes version'],
  [0, port, '1 to 65535'],
  [80, nodePort, '1024 to 65535'],
  ['a b', toleration, 'kubectl taint'],
  ['huge', resources, 'preset'],
  ['512Mi', etcdStorage, 'at least 1Gi'],
])('%j is refused with words', (value, schema, words) => {
  expect(refusal(schema, value)).toContain(words);
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
