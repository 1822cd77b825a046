import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { readClusterFile } from './cluster-file.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-'));

function read(text: string) {
  const file = path.join(folder, 'cluster.yaml');
  writeFileSync(file, text);
  return readClusterFile(file);
}

const head = 'apiVersion: k8sk8s.io/v1alpha1\nkind: HostedControlPlane\n';

test('the flat form and the object say the same', () => {
  const flat = read('namespace: team-a\nhost: k.example.com\nreplicas: 2\n');
  const object = read(
    `${head}metadata: {name: k, namespace: team-a, labels: {a: b}}\nspec:\n  host: k.example.com\n  replicas: 2\n`,
  );
  expect(object).toEqual(flat);
  expect(flat).toEqual({ namespace: 'team-a', spec: { host: 'k.example.com', replicas: 2 } });
  expect(read('timeout: 90\ndir: out\nhost: a.test\n')).toEqual({
    timeout: '90',
    dir: 'out',
    spec: { host: 'a.test' },
  });
  expect(read(`${head}spec: {asleep: false, deletionPolicy: Delete}\n`)).toEqual({ spec: {} });
  expect(read(head)).toEqual({ spec: {} });
  expect(read('')).toEqual({ spec: {} });
});

test.each([
  ['apiVersion: k8sk8s.io/v9\nkind: HostedControlPlane\n', 'k8sk8s.io/v9'],
  ['apiVersion: k8sk8s.io/v1alpha1\n', '"kind"'],
  ['apiVersion: v1\nkind: Pod\nspec: {}\n', '"v1"'],
  [`${head}host: k.example.com\n`, '"host"'],
  [`${head}timeout: 90s\n`, 'command line'],
  [`${head}metadata: {nmespace: a}\n`, '"namespace"'],
  [`${head}metadata: {namespace: [a]}\n`, 'metadata.namespace'],
  [`${head}spec: [host]\n`, 'spec in'],
  [`${head}spec: {asleep: true}\n`, '"asleep: true"'],
  [`${head}spec: {serviceCIDR: 10.3.0.0/16}\n`, '"serviceCidr"'],
  ['spec: {host: k.example.com}\n', '"spec"'],
])('%j is refused with what is wrong in it', (text, named) => {
  expect(() => read(text)).toThrow(
    expect.objectContaining({ anchor: 'bad-file', kind: 'usage', what: expect.stringContaining(named) }),
  );
});
