import { beforeAll, expect, test } from 'vitest';
import { render } from '../../commands/certs.ts';
import { type CertificateContext, ensureCertificates, type PkiBundle } from '../../pki/certificates.ts';
import { describeDays } from '../../pki/inspect.ts';
import { issueLeaf } from '../../pki/issue.ts';
import { purposeOf } from '../../pki/table.ts';
import { statusOf } from './certificates.ts';

const now = new Date('2026-05-01T12:00:00Z');
const after = (days: number) => new Date(now.getTime() + days * 86_400_000);
const context: CertificateContext = {
  host: 'k.example.com',
  namespace: 'team',
  dnsDomain: 'cluster.local',
  firstServiceIp: '10.3.0.1',
  apiserverServiceIp: '10.96.0.5',
  workerEndpointHost: 'k.example.com',
  extraSans: [],
  etcdServiceIps: ['10.96.0.6', '10.96.0.7', '10.96.0.8'],
};
const ensure = (existing: PkiBundle | undefined, at: Date, renew?: string[]) =>
  ensureCertificates(existing, context, { keyType: 'ec', now: at, renew });

let bundle: PkiBundle;
beforeAll(async () => {
  ({ bundle } = await ensure(undefined, now));
});

test('every certificate of a plane, each etcd member of it too, has a purpose', () => {
  const names = [...Object.keys(bundle.authorities), ...Object.keys(bundle.leaves)];
  expect(names).toContain('etcd-2-peer');
  expect(names.filter((name) => purposeOf(name) === undefined)).toEqual([]);
});

test('every certificate is told with the Secret that holds it', () => {
  const secretOf = Object.fromEntries(statusOf(bundle, now).map(({ name, secret }) => [name, secret]));
  expect(secretOf).toMatchObject({
    ca: 'k8sk8s-ca',
    apiserver: 'kube-apiserver',
    'etcd-2-peer': 'etcd',
    scheduler: 'kube-scheduler',
    admin: 'admin-kubeconfig',
  });
});

test('the first to end comes first, and 30 days before its end it is near', () => {
  const near = (days: number) => statusOf(bundle, after(days)).filter(({ nearItsEnd }) => nearItsEnd);
  expect(near(334)).toEqual([]);
  expect(near(336).map(({ name }) => name)).toContain('apiserver');
  expect(near(336).every(({ kind }) => kind === 'leaf')).toBe(true);
  const [first] = statusOf(bundle, after(400));
  expect(first!.days).toBeLessThan(0);
});

test('a certificate is told with its subject, names and issuer, and no key', () => {
  const all = statusOf(bundle, now);
  const apiserver = all.find(({ name }) => name === 'apiserver')!;
  expect(apiserver.subject).toBe('CN=kube-apiserver');
  expect(apiserver.names).toEqual(expect.arrayContaining(['k.example.com', '10.3.0.1']));
  expect(apiserver.issuer).toBe('kubernetes-ca team');
  expect(JSON.stringify(all)).not.toContain('PRIVATE');
});

test('deploy renews what is near its end, and tells how near it was', async () => {
  const short = await issueLeaf(
    bundle.authorities.ca!,
    { commonName: 'system:kube-scheduler', usages: ['clientAuth'] },
    { days: 12, now },
  );
  const old = { ...bundle, leaves: { ...bundle.leaves, scheduler: short } };
  const { renewed, issued } = await ensure(old, now);
  expect(renewed).toEqual([{ name: 'scheduler', daysLeft: 12 }]);
  expect(issued).toEqual(['scheduler']);
  expect([describeDays(12), describeDays(1), describeDays(-3)]).toEqual([
    '12 days before its end',
    '1 day before its end',
    '3 days after its end',
  ]);
});

test('what is asked for by name is renewed, and nothing else', async () => {
  const next = await ensure(bundle, now, ['scheduler']);
  expect(next.issued).toEqual(['scheduler']);
  expect(next.bundle.leaves.apiserver).toEqual(bundle.leaves.apiserver);
});

test('certs status shows the end of each and what it means; wide shows names too', () => {
  const text = render(statusOf(bundle, after(340)), false);
  expect(text).toMatch(/^apiserver +\d+ ! .*kubectl, workers and pods refuse the API server$/m);
  expect(text).toContain('k8sk8s certs renew');
  expect(text).not.toContain('k.example.com');
  expect(render(statusOf(bundle, now), true)).toContain('k.example.com');
});
