import { expect, test } from 'vitest';
import { infraUser } from '../config/infra-identity.ts';
import { createRequest } from '../pki/issue.ts';
import { parseRequest } from '../programs/approver/request.ts';
import { checkName, describeRemaining, render } from './user.ts';

const now = new Date('2026-05-01T12:00:00Z');
const later = new Date('2026-05-01T20:00:00Z');

test.each(['ec', 'rsa'] as const)(
  'a request with a key of type %s says who it is for and is signed by its key',
  async (keyType) => {
    const { request } = await createRequest({ commonName: 'bob@example.com', organizations: ['devs', 'ops'] }, keyType);
    expect(parseRequest(request)).toMatchObject({
      commonName: 'bob@example.com',
      organizations: ['devs', 'ops'],
      dnsNames: [],
      ipAddresses: [],
    });
  },
);

test('users are told with what they may do, and until when', () => {
  const grants = [{ role: 'edit', kind: 'ClusterRole' as const, namespace: 'team' }];
  const text = render(
    [
      { name: 'alice', groups: [], until: later, changed: new Date(0), revoked: false, grants },
      { name: 'bob', groups: ['devs'], until: later, changed: new Date(0), revoked: true, grants: [] },
      { name: 'carol', groups: [], until: now, changed: new Date(0), revoked: false, grants },
    ],
    now,
  );
  expect(text).toMatch(/^alice +- +edit in team +2026-05-01T20:00:00.000Z$/m);
  expect(text).toMatch(/^bob +devs +revoked +2026/m);
  expect(text).toMatch(/^carol .* ended$/m);
});

test('what revoking cannot do is said', () => {
  const text = describeRemaining('bob', { until: later, bindings: ['clusterrolebinding "devs" (view)'] });
  expect(text).toContain('until 2026-05-01T20:00:00.000Z its holder is still known as "bob"');
  expect(text).toContain('clusterrolebinding "devs" (view)');
  expect(describeRemaining('bob', { until: later, bindings: [] })).not.toContain('bindings');
  expect(describeRemaining('bob', undefined)).toContain('no certificate of it lives any more');
});

test("nobody gets a name of Kubernetes or of the plane's own administrators", () => {
  for (const name of ['system:masters', 'k8sk8s:cluster-admins']) expect(() => checkName(name)).toThrow(name);
  for (const name of ['k8sk8s-team', 'infra:ann']) expect(() => checkName(name)).not.toThrow();
});

test('nobody gets a certificate with the name of a service account of the infra cluster, or its groups', () => {
  for (const name of [infraUser('team-a', 'builder'), 'infra:system:serviceaccounts'])
    expect(() => checkName(name)).toThrow(name);
});
