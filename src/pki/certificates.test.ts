import { beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../base/errors.ts';
import { explained } from '../ui/words.ts';
import {
  administrator,
  type CertificateContext,
  type EnsuredCertificates,
  ensureCertificates,
  type PkiBundle,
} from './certificates.ts';
import { inspect, isKeyPair, matches, signedBy } from './inspect.ts';
import { createAuthority, issueLeaf } from './issue.ts';

const now = new Date('2026-05-01T12:00:00Z');
const days = (count: number) => new Date(now.getTime() + count * 24 * 60 * 60 * 1000);

const context: CertificateContext = {
  host: 'Plane.Example.com.',
  namespace: 'team-a',
  dnsDomain: 'cluster.local',
  firstServiceIp: '10.3.0.1',
  apiserverServiceIp: '10.96.10.20',
  workerEndpointHost: '192.0.2.7',
  extraSans: ['other.example.com', 'FD00::0:1', 'localhost'],
  etcdServiceIps: ['10.96.0.11', '10.96.0.12', '10.96.0.13'],
};

const ensure = (existing: PkiBundle | undefined, changes: Partial<CertificateContext> = {}, at = now) =>
  ensureCertificates(existing, { ...context, ...changes }, { keyType: 'ec', now: at });
const facts = ({ bundle }: EnsuredCertificates, leaf: string) => inspect(bundle.leaves[leaf]!.certificate);

let first: EnsuredCertificates;
beforeAll(async () => {
  first = await ensure(undefined);
});

describe('a new plane', () => {
  it('gets every authority, leaf and the service-account keys', () => {
    expect(Object.keys(first.bundle.authorities)).toEqual([
      'ca',
      'etcd-ca',
      'etcd-peer-ca',
      'front-proxy-ca',
      'kubelet-serving-ca',
    ]);
    expect(Object.keys(first.bundle.leaves)).toEqual([
      ...[
        'apiserver',
        'apiserver-etcd-client',
        'apiserver-kubelet-client',
        'front-proxy-client',
        'controller-manager',
        'scheduler',
        'admin',
      ],
      ...['etcd-0', 'etcd-0-peer', 'etcd-1', 'etcd-1-peer', 'etcd-2', 'etcd-2-peer'],
    ]);
    expect(first.issued).toEqual([
      ...Object.keys(first.bundle.authorities),
      ...Object.keys(first.bundle.leaves),
      'service-account',
    ]);
    expect(first.kept).toEqual([]);
    expect(isKeyPair(first.bundle.serviceAccount.publicKey, first.bundle.serviceAccount.privateKey)).toBe(true);
    for (const { certificate, key } of [
      ...Object.values(first.bundle.authorities),
      ...Object.values(first.bundle.leaves),
    ])
      expect(matches(certificate, key)).toBe(true);
  });

  it('gives the API server every name under which it is dialled', () => {
    const apiserver = facts(first, 'apiserver');
    expect(apiserver.commonName).toBe('kube-apiserver');
    expect(apiserver.usages).toEqual(['serverAuth']);
    expect(apiserver.dnsNames.sort()).toEqual(
      [
        ...[
          'plane.example.com',
          'other.example.com',
          'kubernetes',
          'kubernetes.default',
          'kubernetes.default.svc',
          'kubernetes.default.svc.cluster.local',
        ],
        ...['apiserver', 'apiserver.team-a', 'apiserver.team-a.svc', 'localhost'],
      ].sort(),
    );
    expect(apiserver.ipAddresses.sort()).toEqual(['10.3.0.1', '10.96.10.20', '127.0.0.1', '192.0.2.7', 'fd00::1']);
  });

  it('puts a host that is an address, and those of --san, among the addresses', async () => {
    const apiserver = facts(
      await ensure(first.bundle, { host: '198.51.100.9', extraSans: ['10.199.199.199'] }),
      'apiserver',
    );
    expect(apiserver.ipAddresses).toEqual(expect.arrayContaining(['198.51.100.9', '10.199.199.199']));
    expect(apiserver.dnsNames).not.toContain('198.51.100.9');
  });

  it.each([
    ['apiserver-etcd-client', 'etcd-ca', 'kube-apiserver-etcd-client', []],
    ['apiserver-kubelet-client', 'ca', 'kube-apiserver-kubelet-client', ['k8sk8s:kubelet-clients']],
    ['front-proxy-client', 'front-proxy-ca', 'front-proxy-client', []],
    ['controller-manager', 'ca', 'system:kube-controller-manager', []],
    ['scheduler', 'ca', 'system:kube-scheduler', []],
    ['admin', 'ca', 'kubernetes-admin', ['k8sk8s:cluster-admins']],
  ])('%s is a client of %s', (leaf, authority, commonName, organizations) => {
    expect(facts(first, leaf)).toMatchObject({
      commonName,
      organizations,
      usages: ['clientAuth'],
      dnsNames: [],
      ipAddresses: [],
    });
    expect(signedBy(first.bundle.leaves[leaf]!.certificate, first.bundle.authorities[authority]!.certificate)).toBe(
      true,
    );
  });

  it('gives each etcd member a server and a peer certificate of different authorities', () => {
    const names = {
      commonName: 'etcd-1',
      usages: ['serverAuth', 'clientAuth'],
      dnsNames: ['etcd-1', 'etcd-1.etcd', 'etcd1', 'etcd1.team-a', 'etcd1.team-a.svc', 'localhost'],
      ipAddresses: ['127.0.0.1', '10.96.0.12'],
    };
    expect(facts(first, 'etcd-1')).toMatchObject(names);
    expect(facts(first, 'etcd-1-peer')).toMatchObject(names);
    const { leaves, authorities } = first.bundle;
    expect(signedBy(leaves['etcd-1']!.certificate, authorities['etcd-ca']!.certificate)).toBe(true);
    expect(signedBy(leaves['etcd-1-peer']!.certificate, authorities['etcd-peer-ca']!.certificate)).toBe(true);
    expect(signedBy(leaves['etcd-1-peer']!.certificate, authorities['etcd-ca']!.certificate)).toBe(false);
  });

  it('can be made with RSA keys', async () => {
    const { bundle } = await ensureCertificates(
      undefined,
      { ...context, etcdServiceIps: ['10.96.0.11'] },
      { keyType: 'rsa' },
    );
    expect(inspect(bundle.authorities.ca!.certificate).keyType).toBe('rsa');
    expect(inspect(bundle.leaves.apiserver!.certificate).keyType).toBe('rsa');
    expect(Object.keys(bundle.leaves)).toHaveLength(9);
  }, 60_000);

  it('has authorities with names that fit into a certificate', async () => {
    const { bundle } = await ensure(undefined, { namespace: 'n'.repeat(63) });
    for (const { certificate } of Object.values(bundle.authorities))
      expect(inspect(certificate).commonName.length).toBeLessThanOrEqual(64);
  });
});

describe('a plane that exists', () => {
  it('keeps everything', async () => {
    const second = await ensure(first.bundle, {}, days(300));
    expect(second.issued).toEqual([]);
    expect(second.kept).toEqual(first.issued);
    expect(second.bundle).toEqual(first.bundle);
  });

  it('keeps leaves whose names come in another order or spelling', async () => {
    expect(
      (await ensure(first.bundle, { host: 'plane.example.com', extraSans: ['fd00::1', 'other.EXAMPLE.com'] })).issued,
    ).toEqual([]);
  });

  it('issues again only the leaf whose names changed', async () => {
    const second = await ensure(first.bundle, { extraSans: [...context.extraSans, 'new.example.com'] });
    expect(second.issued).toEqual(['apiserver']);
    expect(facts(second, 'apiserver').dnsNames).toContain('new.example.com');
  });

  it('issues again only the leaves whose addresses changed', async () => {
    expect((await ensure(first.bundle, { apiserverServiceIp: '10.96.10.21' })).issued).toEqual(['apiserver']);
    const moved = await ensure(first.bundle, { etcdServiceIps: ['10.96.0.11', '10.96.0.99', '10.96.0.13'] });
    expect(moved.issued).toEqual(['etcd-1', 'etcd-1-peer']);
  });

  it('takes names away that are no longer asked for', async () => {
    const second = await ensure(first.bundle, { extraSans: [] });
    expect(second.issued).toEqual(['apiserver']);
    expect(facts(second, 'apiserver').dnsNames).not.toContain('other.example.com');
  });

  it('renews leaves, and only leaves, within 30 days of their end', async () => {
    expect((await ensure(first.bundle, {}, days(334.9))).issued).toEqual([]);
    const second = await ensure(first.bundle, {}, days(335.1));
    expect(second.issued).toEqual(Object.keys(first.bundle.leaves));
    expect(second.bundle.authorities).toEqual(first.bundle.authorities);
    expect(second.bundle.serviceAccount).toEqual(first.bundle.serviceAccount);
  });

  it('does not renew leaves day by day when the authority itself is about to end', async () => {
    const { bundle } = await ensure(first.bundle, {}, days(3640));
    expect((await ensure(bundle, {}, days(3641))).issued).toEqual([]);
  });

  it('adds and drops certificates with etcd members', async () => {
    const [address] = context.etcdServiceIps;
    const smaller = await ensure(first.bundle, { etcdServiceIps: [address!] });
    expect(smaller.issued).toEqual([]);
    expect(Object.keys(smaller.bundle.leaves)).not.toContain('etcd-1');
    expect((await ensure(smaller.bundle)).issued).toEqual(['etcd-1', 'etcd-1-peer', 'etcd-2', 'etcd-2-peer']);
  });

  it.each([
    ['has the key of another', (bundle: PkiBundle) => ({ ...bundle.leaves.admin!, key: bundle.leaves.scheduler!.key })],
    ['is unreadable', () => ({ certificate: 'nonsense', key: 'nonsense' })],
    [
      'is of another authority of the same name',
      async () =>
        issueLeaf(
          await createAuthority('kubernetes-ca team-a', { now }),
          { commonName: 'kubernetes-admin', organizations: ['k8sk8s:cluster-admins'], usages: ['clientAuth'] },
          { now },
        ),
    ],
    [
      'has more rights',
      (bundle: PkiBundle) =>
        issueLeaf(
          bundle.authorities.ca!,
          {
            commonName: 'kubernetes-admin',
            organizations: ['k8sk8s:cluster-admins', 'system:masters'],
            usages: ['clientAuth'],
          },
          { now },
        ),
    ],
    [
      'has another usage',
      (bundle: PkiBundle) =>
        issueLeaf(
          bundle.authorities.ca!,
          {
            commonName: 'kubernetes-admin',
            organizations: ['k8sk8s:cluster-admins'],
            usages: ['clientAuth', 'serverAuth'],
          },
          { now },
        ),
    ],
  ])('replaces a leaf that %s', async (_, make) => {
    const admin = await make(first.bundle);
    expect((await ensure({ ...first.bundle, leaves: { ...first.bundle.leaves, admin } })).issued).toEqual(['admin']);
  });

  it('completes what a run that was killed left behind', async () => {
    const { ca, 'etcd-ca': etcd } = first.bundle.authorities;
    const second = await ensure({
      authorities: { ca: ca!, 'etcd-ca': etcd! },
      leaves: {},
      serviceAccount: { publicKey: '', privateKey: '' },
    });
    expect(second.kept).toEqual(['ca', 'etcd-ca']);
    expect(second.bundle.authorities.ca).toEqual(ca);
  });
});

describe('an authority that cannot be used', () => {
  const withAuthority = (ca: PkiBundle['authorities'][string]) => ({
    ...first.bundle,
    authorities: { ...first.bundle.authorities, ca },
  });
  const failure = (existing: PkiBundle, at = now): Promise<UserError> =>
    ensure(existing, {}, at).then(
      () => expect.fail('it was used'),
      (error) => error,
    );

  it.each([
    [
      'its key belongs to another certificate',
      () => ({ ...first.bundle.authorities.ca!, key: first.bundle.authorities['etcd-ca']!.key }),
    ],
    ['its certificate cannot be read', () => ({ ...first.bundle.authorities.ca!, certificate: 'nonsense' })],
    ['its certificate is that of a leaf', () => first.bundle.leaves.admin!],
  ])('is not replaced: %s', async (_, ca) => {
    const error = await failure(withAuthority(ca()));
    expect(error).toBeInstanceOf(UserError);
    expect(error).toMatchObject({ anchor: 'authority-broken', what: expect.stringMatching(/\bca\b/) });
    expect(explained(error as UserError)).not.toContain('BEGIN');
  });

  it('is not replaced when it has expired or is not valid yet', async () => {
    expect(await failure(first.bundle, days(3651))).toMatchObject({
      anchor: 'authority-expired',
      what: expect.stringMatching(/\bca has expired/),
    });
    expect(await failure(first.bundle, days(-1))).toMatchObject({
      anchor: 'authority-expired',
      what: expect.stringMatching(/\bca is not valid yet/),
    });
  });

  it('is not replaced when only its leaves are left', async () => {
    const { ca: _, ...authorities } = first.bundle.authorities;
    expect(await failure({ ...first.bundle, authorities })).toMatchObject({
      anchor: 'authority-missing',
      what: expect.stringMatching(/\bca\b/),
    });
  });

  it('nor are service-account keys that do not belong together', async () => {
    const { publicKey } = (await ensure(undefined)).bundle.serviceAccount;
    const error = await failure({ ...first.bundle, serviceAccount: { ...first.bundle.serviceAccount, publicKey } });
    expect(error).toMatchObject({ anchor: 'service-account-keys-broken' });
    expect(error.message).not.toContain('BEGIN');
  });
});

describe('administrator', () => {
  it('is a system:masters client for an hour', async () => {
    const credential = await administrator(first.bundle, { now });
    const certificate = inspect(credential.certificate);
    expect(certificate).toMatchObject({
      commonName: 'k8sk8s-deploy',
      organizations: ['system:masters'],
      usages: ['clientAuth'],
    });
    expect(certificate.notAfter).toEqual(new Date('2026-05-01T13:00:00Z'));
    expect(signedBy(credential.certificate, first.bundle.authorities.ca!.certificate)).toBe(true);
    expect(matches(credential.certificate, credential.key)).toBe(true);
  });
});
