import { expect, test } from 'vitest';
import { hostedControlPlane } from '../config/hosted-control-plane.ts';
import { connectWhole } from '../kube/whole-cluster.ts';
import { connectAsAdministrator } from '../live/open.ts';
import { createAuthority } from '../pki/issue.ts';
import { asPlaneAccount, type ReconcileContext } from './plane-account.ts';

const MiB = 1 << 20;

test('what the operator reads of a hosted API at most, and of a namespace, its workers have room for', async () => {
  const whole = connectWhole({ server: 'http://127.0.0.1:1' });
  const metadata = { name: 'k8sk8s', namespace: 'team', uid: 'a' };
  const object = { ...hostedControlPlane, metadata, spec: { host: 'k.example.com' } };
  const cluster = asPlaneAccount(object, { whole, hostedBy: 'service', identity: 'one' } as ReconcileContext);
  expect(cluster.transport.connection.longestAnswer).toBeLessThanOrEqual(64 * MiB);
  // Objects of all namespaces are the administrator's to bound, by the quota of each.
  expect(whole.transport.connection.longestAnswer).toBeUndefined();
  const addresses = {
    publicServer: 'https://k.example.com',
    apiserverServiceIp: '192.0.2.1',
    insideOnly: false,
    advertised: { address: '192.0.2.1', port: 6443 },
  };
  const bundle = { authorities: { ca: await createAuthority('ca') }, leaves: {} };
  // Also where the objects of the plane have an owner of their own.
  for (const each of [cluster, cluster.ownedBy(undefined)]) {
    const hosted = await connectAsAdministrator(each, addresses, bundle as never);
    expect(hosted.transport.connection.longestAnswer).toBeLessThanOrEqual(16 * MiB);
    await hosted.close();
  }
  await whole.close();
});
