import { expect, test } from 'vitest';
import { parseSpec } from '../config/parse.ts';
import { ApiError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { PlaneRecord } from '../plane/record.ts';
import type { DeployContext } from './check.ts';
import { logChecks } from './log-checks.ts';

const message = 'pods "log-store" is forbidden: error looking up service account team/k8sk8s-logs: not found';
const cluster = {
  namespace: 'team',
  create: async () => {
    throw new ApiError({ status: 403, reason: 'Forbidden', message, of: 'infra' });
  },
} as unknown as InfraCluster;
const spec = parseSpec({ host: 'k.example.com', logs: true }, 'here');
const stateIn = async (more: Partial<DeployContext>) =>
  (await logChecks[0]!.probe({ cluster, spec, record: async () => undefined, ...more } as DeployContext)).state;

test('without the account a new plane with --logs is refused, and one that kept its logs or comes from a backup is not', async () => {
  expect(await stateIn({})).toBe('failed');
  expect(await stateIn({ record: async () => ({ spec }) as PlaneRecord })).toBe('unknown');
  expect(await stateIn({ restores: true })).toBe('unknown');
});
