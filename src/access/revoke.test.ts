import { beforeEach, expect, test } from 'vitest';
import { refused } from '../../test/refused.ts';
import { storedCluster } from '../../test/streams/stored-cluster.ts';
import type { HostedCluster } from '../kube/hosted-cluster.ts';
import { grantOutside, listOutside } from './outside.ts';
import { revokeByName } from './revoke.ts';
import { bindingOf, keyOf, listUsers } from './users.ts';

let hosted: HostedCluster;
const view = { role: 'view', kind: 'ClusterRole' } as const;

/** A user of `user create`, whose certificate lives for an hour, with a grant. */
async function created(name: string): Promise<void> {
  const labels = { 'k8sk8s.io/user': keyOf(name) };
  const until = new Date(Date.now() + 3_600_000).toISOString();
  await hosted.apply({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: `k8sk8s-user-${keyOf(name)}`, namespace: 'kube-system', labels },
    data: { name, groups: '[]', until, revoked: 'false' },
  } as never);
  await hosted.apply(bindingOf({ kind: 'User', name }, view, labels));
}

const certificates = async () => (await listUsers(hosted)).map(({ name, revoked }) => [name, revoked]);
const outside = async () => (await listOutside(hosted)).map(({ kind, name }) => `${kind} ${name}`);

beforeEach(async () => {
  const { store, hosted: empty } = storedCluster();
  store.put('/apis/rbac.authorization.k8s.io/v1/clusterroles/view', {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'view' },
  });
  hosted = empty;
});

test('a name that one has alone says enough', async () => {
  await created('ann');
  await grantOutside(hosted, { kind: 'Group', name: 'oidc:ops' }, view);
  expect(await revokeByName(hosted, 'oidc:ops')).toEqual({ kind: 'group' });
  expect(await outside()).toEqual([]);
  expect(await revokeByName(hosted, 'ann')).toMatchObject({ kind: 'certificate', remaining: { bindings: [] } });
  expect(await certificates()).toEqual([['ann', true]]);
});

test('a name that a user and a group have is asked about, and each is revoked by itself', async () => {
  await created('ops');
  await grantOutside(hosted, { kind: 'Group', name: 'ops' }, view);
  await expect(revokeByName(hosted, 'ops')).rejects.toEqual(
    refused('several-users', '--kind certificate', '--kind group'),
  );
  expect([await certificates(), await outside()]).toEqual([[['ops', false]], ['Group ops']]);

  const { remaining } = await revokeByName(hosted, 'ops', 'certificate');
  expect(remaining?.bindings).toEqual([]);
  expect([await certificates(), await outside()]).toEqual([[['ops', true]], ['Group ops']]);

  await revokeByName(hosted, 'ops', 'group');
  expect([await certificates(), await outside()]).toEqual([[['ops', true]], []]);
});

test('a group and a service account of one name are listed as two, and revoked as two', async () => {
  const name = 'infra:system:serviceaccount:team-a:builder';
  for (const kind of ['Group', 'User'] as const) await grantOutside(hosted, { kind, name }, view);
  expect(await outside()).toEqual([`Group ${name}`, `User ${name}`]);
  await expect(revokeByName(hosted, name)).rejects.toEqual(refused('several-users', '--kind service-account'));
  await revokeByName(hosted, name, 'service-account');
  expect(await outside()).toEqual([`Group ${name}`]);
});

test('a name of nobody is told with the one that was meant, also where the kind is given', async () => {
  await created('ann');
  await grantOutside(hosted, { kind: 'Group', name: 'oidc:ops' }, view);
  await expect(revokeByName(hosted, 'oidc:op')).rejects.toEqual(refused('no-user', '"oidc:op"', '"oidc:ops"'));
  await expect(revokeByName(hosted, 'anne')).rejects.toEqual(refused('no-user', '"ann"'));
  await expect(revokeByName(hosted, 'ann', 'group')).rejects.toEqual(refused('no-user', '"ann"', 'group'));
  expect([await certificates(), await outside()]).toEqual([[['ann', false]], ['Group oidc:ops']]);
});
