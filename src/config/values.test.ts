import { expect, test } from 'vitest';
import type * as z from 'zod';
import { cidr, etcdStorage, hostName, nodePort, port, resources, toleration, version } from './values.ts';

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
