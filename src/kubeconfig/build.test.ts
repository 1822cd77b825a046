import { load } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { buildKubeconfig } from './build.ts';
import { readKubeconfig } from './read.ts';

const common = {
  server: 'https://plane.example.com:443',
  certificateAuthority: 'CA PEM\n',
  clusterName: 'plane.example.com',
  userName: 'admin',
};
const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('buildKubeconfig', () => {
  it('holds a client certificate, all data inside', () => {
    const text = buildKubeconfig({
      ...common,
      client: { certificate: 'CERTIFICATE\n', key: 'KEY\n' },
      namespace: 'work',
    });
    expect(load(text)).toEqual({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'plane.example.com',
          cluster: { server: 'https://plane.example.com:443', 'certificate-authority-data': base64('CA PEM\n') },
        },
      ],
      users: [
        {
          name: 'admin',
          user: { 'client-certificate-data': base64('CERTIFICATE\n'), 'client-key-data': base64('KEY\n') },
        },
      ],
      contexts: [
        { name: 'plane.example.com', context: { cluster: 'plane.example.com', user: 'admin', namespace: 'work' } },
      ],
      'current-context': 'plane.example.com',
    });
  });

  it.each([
    'abcdef.0123456789abcdef',
    '123456.1234567890123456',
    '1234e5.1234567890123456',
    '0644',
    'yes',
    '1_000',
    '~',
  ])('keeps the token %s a string', (token) => {
    const text = buildKubeconfig({ ...common, client: { token } });
    expect(readKubeconfig(text, 'it').token).toBe(token);
  });

  it('keeps long data on one line', () => {
    const text = buildKubeconfig({ ...common, client: { certificate: 'C'.repeat(3000), key: 'K'.repeat(3000) } });
    expect(text.split('\n').some((line) => line.length > 3000)).toBe(true);
    expect(text).not.toMatch(/[|>]-?\n/);
  });
});
