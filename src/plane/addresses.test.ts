import { expect, test } from 'vitest';
import { refused } from '../../test/refused.ts';
import { parseSpec } from '../config/parse.ts';
import type { Service } from '../kube/objects.ts';
import { addressesOf } from './addresses.ts';

const spec = parseSpec({ host: 'k.example.com' }, 'in a test');

const services = (apiserver?: string, etcd?: string): Service[] =>
  [
    { name: 'apiserver', clusterIP: apiserver },
    { name: 'etcd0', clusterIP: etcd },
  ].map(({ name, clusterIP }) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { clusterIP, ports: [{ port: 443, nodePort: 30443 }] },
  }));

test('a Service that was made headless, or a name for something else, has no address that would be dialled', () => {
  expect(addressesOf(spec, services('192.0.2.1', '192.0.2.2')).apiserverServiceIp).toBe('192.0.2.1');
  for (const [apiserver, etcd] of [
    ['None', '192.0.2.2'],
    ['192.0.2.1', 'None'],
    [undefined, '192.0.2.2'],
    ['192.0.2.1', undefined],
  ])
    expect(() => addressesOf(spec, services(apiserver, etcd))).toThrow(refused('plane-incomplete'));
});
