import { describe, expect, test } from 'vitest';
import { refused } from '../../test/refused.ts';
import { flagOf } from './flags.ts';
import { parseSpec } from './parse.ts';

const parse = (input: object) => parseSpec(input as { host: string }, 'the command line');

describe('parseSpec', () => {
  test('a host is enough', () => {
    expect(parse({ host: 'k.example.com' })).toMatchObject({
      host: 'k.example.com',
      serviceCidr: '10.3.0.0/16',
      expose: 'ingress',
      inCluster: 'node',
      keyType: 'ec',
    });
  });
  test('a minor takes its newest known patch', () => {
    expect(parse({ host: 'k.example.com', kubernetesVersion: 'v1.36' }).kubernetesVersion).toBe('1.36.3');
  });
  test.each([
    [{ host: undefined }, '--host'],
    [{ host: 'k example' }, '--host "k example"'],
    [{ podCidr: '10.3.128.0/17' }, '--pod-cidr 10.3.128.0/17'],
    [{ port: 'x' }, '--port "x"'],
    [{ keyType: 'dsa' }, '--key-type "dsa"'],
    [{ featureGates: { X: 'maybe' } }, '--feature-gates X'],
    [{ tolerations: ['a b'] }, '--tolerations "a b"'],
    [{ podLabels: { 'app.kubernetes.io/name': 'x' } }, '--pod-label app.kubernetes.io/name'],
    [{ podLabels: { team: 'a b' } }, '--pod-label team'],
    [{ podAnnotations: { 'k8sk8s.io/config-hash': 'x' } }, '--pod-annotation k8sk8s.io/config-hash'],
    [{ serviceAnnotations: { 'a/b/c': 'x' } }, '--service-annotation a/b/c'],
    [{ runAsUser: 0 }, '--run-as-user "0"'],
    [{ registryMirrors: { 'gcr.io': 'mirror.test' } }, '--registry-mirror gcr.io'],
    [{ fsGroup: 'root' }, '--fs-group "root"'],
    [{ loadBalancerClass: 'a' }, '--load-balancer-class'],
    [{ allocateNodePorts: false }, '--in-cluster loadbalancer'],
    [{ allocateNodePorts: false, inCluster: 'loopback' }, '--worker-endpoint'],
    [{ allocateNodePorts: false, inCluster: 'loadbalancer', nodePort: 30001 }, '--node-port 30001'],
    [{ allocateNodePorts: false, expose: 'nodeport', inCluster: 'loadbalancer' }, '--expose nodeport'],
    [{ policyTypes: 'Ingress,Egress', allowEgress: ['hooks.corp.example:8443'] }, '--allow-egress hooks.corp'],
  ])('%j is refused by its name', (input, name) => {
    const read = () => parse({ host: 'k.example.com', ...input });
    expect(read).toThrow(refused('bad-values', name));
    expect(read).toThrow(expect.objectContaining({ kind: 'usage' }));
  });
  test('a key that is none is told with the one that was meant', () => {
    expect(() => parse({ host: 'k.example.com', hots: 'x' })).toThrow(refused('bad-values', '"hots"', '"host"'));
  });
  test('all problems are told at once', () => {
    expect(() => parse({ host: '', port: 0, keyType: 'x' })).toThrow(
      refused('bad-values', '--host', '--port', '--key-type'),
    );
  });
});

test('a field is named as it is given', () => {
  expect(flagOf('serviceCidr')).toBe('--service-cidr');
  expect(flagOf('childAssets')).toBe('--no-child-assets');
});
