import { expect, test } from 'vitest';
import { refused } from '../../test/refused.ts';
import type { Lease } from '../kube/objects.ts';
import { quietReporter } from '../ui/quiet.ts';
import { InfraStore } from './infra-store.fixture.ts';
import { acquireLock } from './lock.ts';
import { leasePath } from './plane.fixture.ts';

// Whose clock says what; with a real API server: test/api/lock.test.ts.

const unhurried = new AbortController().signal;
const time = (secondsAgo: number) => new Date(Date.now() - secondsAgo * 1000).toISOString().replace('Z', '000Z');

/** A lease of a holder on a machine whose clock is behind, which renewed it just now. */
function heldBehind(store: InfraStore, seconds: number) {
  const lease: Lease = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'k8sk8s', labels: { 'app.kubernetes.io/part-of': 'k8sk8s' } },
    spec: { holderIdentity: 'deploy by somebody', leaseDurationSeconds: 15 },
  };
  const renew = () => store.put(leasePath, { ...lease, spec: { ...lease.spec, renewTime: time(seconds) } } as Lease);
  renew();
  return renew;
}

test.each([16, 3600])('a holder that renews is left alone, though its clock is %d s behind', async (seconds) => {
  const store = new InfraStore();
  const renewing = setTimeout(heldBehind(store, seconds), 1200);
  const taking = acquireLock(store.cluster, 'destroy', quietReporter, unhurried);
  await expect(taking).rejects.toEqual(refused('plane-busy', 'deploy by somebody'));
  expect(store.get<Lease>(leasePath)!.spec.holderIdentity).toBe('deploy by somebody');
  clearTimeout(renewing);
});

test('an old lease that nobody renews is taken over once its holder would have renewed it', async () => {
  const store = new InfraStore();
  heldBehind(store, 3600);
  const begun = performance.now();
  const lock = await acquireLock(store.cluster, 'destroy', quietReporter, unhurried);
  expect(performance.now() - begun).toBeGreaterThan(5000);
  expect(store.get<Lease>(leasePath)!.spec.holderIdentity).toContain('destroy by');
  await lock.release();
});
