import { describe, expect, test } from 'vitest';
import { UserError } from '../base/errors.ts';
import { flagOf, parseSpec } from './parse.ts';

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
    [{ host: undefined }, '--host is missing'],
    [{ host: 'k example' }, '--host "k example" contains a space'],
    [{ podCidr: '10.3.128.0/17' }, 'overlap'],
    [{ port: 'x' }, '--port'],
    [{ keyType: 'dsa' }, 'ec or rsa'],
    [{ featureGates: { X: 'maybe' } }, 'true or false'],
    [{ tolerations: ['a b'] }, 'kubectl taint'],
    [{ hots: 'x' }, 'did you mean "host"'],
  ])('%j is refused with words', (input, words) => {
    const error = failure({ host: 'k.example.com', ...input });
    expect(error.message).toContain(words);
    expect(error.kind).toBe('usage');
  });
  test('all problems are told at once', () => {
    const { what, why } = failure({ host: '', port: 0, keyType: 'x' });
    expect(what).toBe('3 values cannot be used');
    expect(why).toContain('--host');
    expect(why).toContain('--port');
    expect(why).toContain('--key-type');
  });
});

test('a field is named as it is given', () => {
  expect(flagOf('serviceCidr')).toBe('--service-cidr');
  expect(flagOf('childAssets')).toBe('--no-child-assets');
});
