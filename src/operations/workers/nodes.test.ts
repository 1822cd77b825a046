import { expect, test } from 'vitest';
import { workersOf } from './nodes.ts';

const node = (name: string, ready: string, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, creationTimestamp: '2026-01-01T00:00:00Z' },
  status: {
    conditions: [{ type: 'Ready', status: ready, reason: 'KubeletNotReady' }],
    nodeInfo: { kubeletVersion: 'v1.36.3' },
    addresses: [{ type: 'InternalIP', address: '10.0.0.5' }],
  },
  ...more,
});

const request = (name: string, node: string, status?: object) => ({
  apiVersion: 'certificates.k8s.io/v1',
  kind: 'CertificateSigningRequest',
  metadata: { name },
  spec: { username: `system:node:${node}` },
  status,
});

test('a worker is shown with the requests for certificates that nobody has answered, and no others', () => {
  const [first, second] = workersOf(
    [node('w1', 'True', { spec: { unschedulable: true } }), node('w2', 'False')] as Parameters<typeof workersOf>[0],
    [
      request('a', 'w1'),
      request('b', 'w1', { conditions: [{ type: 'Approved' }], certificate: 'x' }),
      request('c', 'w1', { conditions: [{ type: 'Denied' }] }),
      request('d', 'w2', {}),
    ] as Parameters<typeof workersOf>[1],
  );
  expect(first).toMatchObject({ name: 'w1', ready: true, cordoned: true, waiting: ['a'], version: 'v1.36.3' });
  expect(second).toMatchObject({ ready: false, cordoned: false, waiting: ['d'], problem: 'KubeletNotReady' });
});
