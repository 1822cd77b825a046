import { beforeAll, expect, test } from 'vitest';
import { parseSpec } from '../config/parse.ts';
import { context as plane } from '../pki/certificates.fixture.ts';
import { type CertificateContext, ensureCertificates, type PkiBundle } from '../pki/certificates.ts';
import { nextProviders } from '../pki/encryption.ts';
import { components } from './components/table.ts';
import { restartHash } from './config-hash.ts';
import { buildSecrets } from './secrets.ts';

const context: CertificateContext = { ...plane, namespace: 'team', egress: 'kubelet' };
const spec = parseSpec({ host: 'k.example.com' }, 'the test');

let first: PkiBundle;
beforeAll(async () => {
  first = (await ensureCertificates(undefined, context, { keyType: 'ec' })).bundle;
});

function hashes(bundle: PkiBundle): string[] {
  const secrets = buildSecrets(bundle, {
    planeId: 'plane-x',
    spec,
    internalServer: 'https://10.96.0.5',
    publicServer: 'https://k.example.com:443',
  });
  return components.map((component) => restartHash(component, secrets));
}

/** Components whose pods are made anew when `first` becomes `next`. */
function restarted(next: PkiBundle): string[] {
  const [before, after] = [hashes(first), hashes(next)];
  return components.flatMap(({ name }, index) => (before[index] !== after[index] ? [name] : []));
}

test('renewed leaves restart nothing', async () => {
  const { bundle } = await ensureCertificates({ ...first, leaves: {} }, context, { keyType: 'ec' });
  expect(bundle.leaves.apiserver).not.toEqual(first.leaves.apiserver);
  expect(restarted(bundle)).toEqual([]);
});

test('another name in its certificate restarts the API server alone', async () => {
  const { bundle } = await ensureCertificates(
    first,
    { ...context, extraSans: ['other.example.com'] },
    { keyType: 'ec' },
  );
  expect(restarted(bundle)).toEqual(['kube-apiserver']);
});

test('another encryption key restarts the API server alone', () => {
  expect(restarted({ ...first, encryption: nextProviders(first.encryption!) })).toEqual(['kube-apiserver']);
});

test('other authorities restart whoever trusts them or signs with them', async () => {
  const other = (await ensureCertificates(undefined, context, { keyType: 'ec' })).bundle;
  const swapped = (name: string) => ({
    ...first,
    authorities: { ...first.authorities, [name]: other.authorities[name]! },
  });
  expect(restarted(swapped('ca'))).toEqual(['kube-apiserver', 'kube-controller-manager', 'kube-scheduler']);
  expect(restarted(swapped('etcd-ca'))).toEqual(['etcd', 'kube-apiserver']);
  expect(restarted({ ...first, serviceAccount: other.serviceAccount })).toEqual([
    'kube-apiserver',
    'kube-controller-manager',
  ]);
});
