import { expect, test } from 'vitest';
import type { ClusterSpecInput } from '../../config/schema.ts';
import { specOf } from './restore.ts';

const head = (spec: Partial<ClusterSpecInput>) => ({
  record: {
    planeId: 'plane-1',
    toolVersion: '1',
    issuers: [],
    phase: 'available' as const,
    spec: { host: 'a.test', ...spec },
  },
  addresses: {
    publicServer: 'https://a.test:443',
    workerServer: 'https://a.test:443',
    nodePort: 30123,
    infraNodes: [],
  },
});

test('a plane comes back as it was, at the node port that its workers may know', () => {
  const spec = specOf(head({ etcdStorage: '10Gi', etcdStorageClass: 'fast', sans: ['b.test'] }), { changes: {} });
  expect(spec).toMatchObject({
    host: 'a.test',
    nodePort: 30123,
    etcdStorage: '10Gi',
    etcdStorageClass: 'fast',
    sans: ['b.test'],
  });
});

test('under a new host the old name stays in the certificates, and the node port is free', () => {
  const spec = specOf(head({ sans: ['b.test'] }), { asNewHost: 'c.test', changes: {} });
  expect(spec).toMatchObject({ host: 'c.test', sans: ['b.test', 'a.test'] });
  expect(spec.nodePort).toBeUndefined();
  expect(specOf(head({ nodePort: 30500 }), { asNewHost: 'c.test', changes: {} }).nodePort).toBe(30500);
});

test('what is asked for wins, and takes with it what belonged to the old choice', () => {
  const port = specOf(head({ expose: 'nodeport', port: 30123 }), { changes: { nodePort: 31000 } });
  expect([port.nodePort, port.port]).toEqual([31000, undefined]);
  const moved = specOf(head({ etcdStorage: '10Gi', etcdStorageClass: 'fast' }), { changes: { etcdStorage: '20Gi' } });
  expect([moved.etcdStorage, moved.etcdStorageClass]).toEqual(['20Gi', undefined]);
  const there = specOf(head({ ingressClass: 'traefik' }), { changes: { ingressClass: 'nginx' } });
  expect(there.ingressClass).toBe('nginx');
});

test('a version that ran is restored whether it is known or not, and the next one is asked about again', () => {
  const spec = specOf(head({ kubernetesVersion: '1.37.99' }), { changes: {} });
  expect(spec).toMatchObject({ kubernetesVersion: '1.37.99', allowUntestedVersion: false });
});
