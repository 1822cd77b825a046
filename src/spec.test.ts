import { describe, expect, test } from 'vitest';
import { UserError } from './errors.ts';
import { clusterSpec, didYouMean, type FlagMeta, imagesOf, parseSpec } from './spec.ts';

const parse = (input: object) => parseSpec(input as { host: string }, 'the command line');
const failure = (input: object): UserError => {
  try {
    parse(input);
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error('was accepted');
};

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
    expect(failure({ host }).message).toContain(words);
  });
  test('an address needs --expose nodeport', () => {
    expect(failure({ host: '192.0.2.1' }).message).toContain('--expose nodeport');
    expect(parse({ host: '192.0.2.1', expose: 'nodeport' }).host).toBe('192.0.2.1');
  });
  test.each([
    [{ serviceCidr: '10.3.0.0' }, 'CIDR form'],
    [{ serviceCidr: '10.3.1.0/16' }, 'write 10.3.0.0/16'],
    [{ serviceCidr: '10.3.0.0/30' }, 'too small'],
    [{ podCidr: 'fd00::/64' }, 'IPv6'],
    [{ podCidr: '10.3.128.0/17' }, 'overlap'],
    [{ kubernetesVersion: '1.20' }, 'not a version'],
    [{ kubernetesVersion: '1.38.0-alpha.1' }, '--allow-untested-version'],
    [{ port: 0 }, '1 to 65535'],
    [{ port: 'x' }, '--port'],
    [{ keyType: 'dsa' }, 'ec or rsa'],
    [{ featureGates: { X: 'maybe' } }, 'true or false'],
    [{ tolerations: ['a b'] }, 'kubectl taint'],
    [{ resources: ['huge'] }, 'preset'],
    [{ hots: 'x' }, 'did you mean "host"'],
  ])('%j is refused with words', (input, words) => {
    const error = failure({ host: 'k.example.com', ...input });
    expect(error.message).toContain(words);
    expect(error.exitCode).toBe(2);
  });
  test('all problems are told at once', () => {
    const { what, why } = failure({ host: '', port: 0, keyType: 'x' });
    expect(what).toBe('3 values cannot be used');
    expect(why).toContain('--host');
    expect(why).toContain('--port');
    expect(why).toContain('--key-type');
  });
});

test('every field says how it is given on the command line, each by another flag', () => {
  const flags = Object.values(clusterSpec.shape).map((schema) => (schema.meta() as FlagMeta | undefined)?.flag);
  expect(flags).not.toContain(undefined);
  expect(new Set(flags).size).toBe(flags.length);
});

test('a registry mirrors every image, and an image given by name stays', () => {
  const images = imagesOf(parse({ host: 'k.example.com', imageRegistry: 'mirror.test/x', etcdImage: 'own/etcd:1' }));
  expect(images).toMatchObject({
    etcd: 'own/etcd:1',
    kubeApiserver: expect.stringMatching(/^mirror\.test\/x\/kube-apiserver:v/),
    coredns: expect.stringMatching(/^mirror\.test\/x\/coredns\/coredns:v/),
  });
});

test('a suggestion is made for what is near, and not for what is not', () => {
  expect(didYouMean('serviceCIDR', ['serviceCidr', 'podCidr'])).toContain('serviceCidr');
  expect(didYouMean('banana', ['serviceCidr', 'podCidr'])).toBe('');
});
