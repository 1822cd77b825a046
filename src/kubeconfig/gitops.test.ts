import { load } from 'js-yaml';
import { expect, test } from 'vitest';
import { argocdSecret, fluxSecret } from './gitops.ts';

const request = {
  server: 'https://team.example.com:443',
  certificateAuthority: 'CA\n',
  clusterName: 'team.example.com',
  userName: 'argo',
  client: { certificate: 'CERTIFICATE\n', key: 'KEY\n' },
};
const base64 = (text: string) => Buffer.from(text).toString('base64');

interface Secret {
  metadata: { name: string; namespace: string; labels: Record<string, string> };
  stringData: Record<string, string>;
}

test("Argo CD's Secret has its label, and the credential as JSON", () => {
  const { metadata, stringData } = load(argocdSecret({ ...request, namespace: 'argocd' })) as Secret;
  expect(metadata).toMatchObject({ name: 'k8sk8s-team.example.com', namespace: 'argocd' });
  expect(metadata.labels['argocd.argoproj.io/secret-type']).toBe('cluster');
  expect(stringData).toMatchObject({ name: 'team.example.com', server: request.server });
  expect(JSON.parse(stringData.config!)).toEqual({
    tlsClientConfig: { caData: base64('CA\n'), certData: base64('CERTIFICATE\n'), keyData: base64('KEY\n') },
  });
});

test('a token stands in it as such', () => {
  const text = argocdSecret({ ...request, client: { token: 'T' }, namespace: 'argocd' });
  expect(JSON.parse((load(text) as Secret).stringData.config!)).toEqual({
    bearerToken: 'T',
    tlsClientConfig: { caData: base64('CA\n') },
  });
});

test("Flux's Secret has a whole kubeconfig under the key that Flux reads by default", () => {
  const { metadata, stringData } = load(
    fluxSecret({ ...request, clusterName: '2001:db8::1', namespace: 'flux-system' }),
  ) as Secret;
  expect(metadata).toMatchObject({ name: 'k8sk8s-2001-db8--1', namespace: 'flux-system' });
  expect(load(stringData.value!)).toMatchObject({ kind: 'Config', 'current-context': '2001:db8::1' });
});
