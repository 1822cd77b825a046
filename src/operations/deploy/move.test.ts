import { expect, test } from 'vitest';
import { parseSpec } from '../../config/parse.ts';
import type { ClusterSpecInput } from '../../config/schema.ts';
import { moveOf } from './move.ts';

const spec = (input: Partial<ClusterSpecInput> = {}) => parseSpec({ host: 'a.example.com', ...input }, 'a test');

test('a change that leaves all addresses as they are moves nobody', () => {
  expect(moveOf(spec(), spec({ replicas: 2, apiServerArgs: ['v=2'] }))).toBeUndefined();
});

test.each([
  ['another HOST', {}, { host: 'b.example.com' }, { keeps: ['a.example.com'], ends: false }],
  ['another port of what stands before the ingress', {}, { port: 8443 }, { keeps: [], ends: false }],
  ['another way to expose it', {}, { expose: 'nodeport' as const }, { keeps: [], ends: true }],
  [
    'another node port',
    { expose: 'nodeport' as const, nodePort: 30001 },
    { expose: 'nodeport' as const, nodePort: 30002 },
    { keeps: [], ends: true },
  ],
  [
    'another endpoint of workers',
    { workerEndpoint: 'https://w1.example.com:6443' },
    { workerEndpoint: 'https://w2.example.com:6443' },
    { keeps: ['w1.example.com'], ends: false },
  ],
])('%s', (_, before, after, expected) => {
  expect(moveOf(spec(before), spec(after))).toMatchObject(expected);
});
