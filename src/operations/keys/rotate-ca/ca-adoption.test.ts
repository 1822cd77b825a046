import { expect, test } from 'vitest';
import { createAuthority, issueLeaf } from '../../../pki/issue.ts';
import { readOldCa, workersWithoutCa } from './ca-adoption.ts';

const minute = 60_000;
const at = new Date('2026-05-01T12:00:00Z');
const since = [{ name: 'ca' as const, since: at }];

/** A serving certificate that the controller-manager signed so many minutes after the switch; it begins 5 minutes before. */
async function serving(minutes: number): Promise<string> {
  const authority = await createAuthority('kubelet-serving-ca', { now: new Date(at.getTime() - 600 * minute) });
  const now = new Date(at.getTime() + minutes * minute);
  const leaf = await issueLeaf(authority, { commonName: 'system:node:w', usages: ['serverAuth'] }, { now });
  return leaf.certificate;
}

test('a worker counts as told when its certificates are younger than the switch and it knows the new CA', async () => {
  const [young, old] = [await serving(1), await serving(-1)];
  expect(workersWithoutCa([{ name: 'w', certificate: young, status: 403 }], since)).toEqual([]);
  expect(workersWithoutCa([{ name: 'w', certificate: old, status: 403 }], since)).toEqual([
    'worker w (has its certificates of 2026-05-01T11:59:00.000Z)',
  ]);
  expect(workersWithoutCa([{ name: 'w', certificate: young, status: 401 }], since)).toEqual([
    'worker w (has the old ca.pem)',
  ]);
  expect(workersWithoutCa([{ name: 'w', error: 'connect ECONNREFUSED' }], since)).toEqual([
    'worker w (cannot be asked: connect ECONNREFUSED)',
  ]);
  // Where the CA of clients stays, so does ca.pem.
  const kubelets = [{ name: 'kubelet-serving-ca' as const, since: at }];
  expect(workersWithoutCa([{ name: 'w', certificate: young, status: 401 }], kubelets)).toEqual([]);
});

test('a pod that is given the CA has to have started after it was the new one too', () => {
  const pod = (startedAt: string, given: string) => ({
    spec: { containers: [], volumes: [{ name: 'v', projected: { sources: [{ configMap: { name: given } }] } }] },
    status: {
      containerStatuses: [{ name: 'c', ready: true, restartCount: 0, image: 'i', state: { running: { startedAt } } }],
    },
  });
  expect(readOldCa(pod('2026-05-01T11:59:59Z', 'kube-root-ca.crt'), at)).toBe(true);
  expect(readOldCa(pod('2026-05-01T12:00:01Z', 'kube-root-ca.crt'), at)).toBe(false);
  expect(readOldCa(pod('2026-05-01T11:59:59Z', 'another'), at)).toBe(false);
});
