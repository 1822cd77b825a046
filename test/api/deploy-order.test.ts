import { expect, test } from 'vitest';
import { parseSpec } from '../../src/config/parse.ts';
import type { ClusterSpec } from '../../src/config/schema.ts';
import type { ConfigMap, KubeObject } from '../../src/kube/objects.ts';
import { deploy } from '../../src/operations/deploy/deploy.ts';
import { type PlaneRecord, parseRecord, toConfigMap } from '../../src/plane/record.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { type Delegate, newNamespace } from './world.ts';

// What deploy makes of a record that another command changes between preflight and the lock, against a real API server.

const configMap = { apiVersion: 'v1', kind: 'ConfigMap' };

const recordOf = (kubernetesVersion: string): PlaneRecord => ({
  planeId: 'plane-one',
  toolVersion: '0.1.0',
  spec: { host: 'localhost', kubernetesVersion, allowUntestedVersion: true },
  issuers: [],
  phase: 'available',
});

/** Another command ends just before this one takes the lock. */
function whenTheLockIsTaken({ cluster }: Delegate, change: () => Promise<unknown>): void {
  const create = cluster.create.bind(cluster);
  cluster.create = async <T extends KubeObject>(object: T, options = {}) => {
    if (object.kind === 'Lease' && !('dryRun' in options)) await change();
    return create(object, options);
  };
}

const request = { reporter: quietReporter, timeout: 3000, signal: new AbortController().signal, allowDataLoss: false };
const recorded = async ({ cluster }: Delegate) =>
  parseRecord((await cluster.get<ConfigMap>(configMap, 'k8sk8s'))!)!.spec.kubernetesVersion;

test('what was not given again is taken from the record as it is under the lock', async () => {
  const team = await newNamespace();
  await team.cluster.create(toConfigMap(recordOf('1.36.3')));
  whenTheLockIsTaken(team, () => team.admin.apply(toConfigMap(recordOf('1.37.2'))));
  const chosen: ClusterSpec[] = [];
  const run = deploy(team.cluster, {
    ...request,
    choose: (record) => {
      const spec = parseSpec({ ...record?.spec, host: 'localhost' }, 'in a test');
      chosen.push(spec);
      return spec;
    },
  });
  // No controller gives the plane pods here, so it does not come to its end.
  await expect(run).rejects.toThrow();
  expect(chosen.map(({ kubernetesVersion }) => kubernetesVersion)).toEqual(['1.36.3', '1.37.2']);
  expect(await recorded(team)).toBe('1.37.2');
  const service = await team.cluster.get({ apiVersion: 'v1', kind: 'Service' }, 'apiserver');
  expect(service!.metadata.labels?.['app.kubernetes.io/version']).toBe('1.37.2');
});

test('a version that has become a step back by then is refused, and nothing is written', async () => {
  const team = await newNamespace();
  await team.cluster.create(toConfigMap(recordOf('1.36.3')));
  whenTheLockIsTaken(team, () => team.admin.apply(toConfigMap(recordOf('1.37.2'))));
  const spec = parseSpec(recordOf('1.36.3').spec, 'in a test');
  await expect(deploy(team.cluster, { ...request, choose: () => spec })).rejects.toMatchObject({ anchor: 'immutable' });
  expect((await team.cluster.list({ apiVersion: 'v1', kind: 'Service' })).items).toEqual([]);
  expect(await recorded(team)).toBe('1.37.2');
});
