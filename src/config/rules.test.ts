import { describe, expect, test } from 'vitest';
import { inTerminal } from '../ui/words.ts';
import { parseSpec } from './parse.ts';
import { problemsBetween } from './rules.ts';
import type { ClusterSpec } from './schema.ts';

const sound = parseSpec({ host: 'k.example.com' }, 'the test');
const problems = (changed: Partial<ClusterSpec>) => problemsBetween({ ...sound, ...changed });

describe('rules between fields', () => {
  test('of the defaults none is broken', () => {
    expect(problemsBetween(sound)).toEqual([]);
  });
  test.each<[Partial<ClusterSpec>, string]>([
    [{ podCidr: '10.3.128.0/17' }, '--pod-cidr 10.3.128.0/17'],
    [{ host: '10.2.0.7', expose: 'nodeport' }, '--pod-cidr'],
    [{ host: '192.0.2.1' }, '--expose nodeport'],
    [{ expose: 'nodeport', port: 443, nodePort: 30443 }, '--node-port 30443'],
    [{ konnectivityEndpoint: 'k.example.com:8132' }, '--egress kubelet'],
    [{ auditPolicy: { kind: 'Policy' }, audit: false }, '--audit-policy'],
    [{ etcdStorage: 'ephemeral', etcdMembers: 3 }, '--etcd-members 3'],
    [{ etcdStorage: 'ephemeral', etcdStorageClass: 'fast' }, '--etcd-storage-class'],
    [{ kubernetesVersion: '1.38.0-alpha.1' }, '--allow-untested-version'],
  ])('%j is refused by the name of an option', (changed, name) => {
    expect(problems(changed).map(inTerminal)).toEqual([expect.stringContaining(name)]);
  });
  test('what is refused is allowed once the other field fits', () => {
    expect(problems({ host: '192.0.2.1', expose: 'nodeport' })).toEqual([]);
    expect(problems({ kubernetesVersion: '1.38.0-alpha.1', allowUntestedVersion: true })).toEqual([]);
  });
});
