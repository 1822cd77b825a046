import { load } from 'js-yaml';
import { beforeAll, describe, expect, test } from 'vitest';
import type { FlagMeta } from '../../src/config/fields/flag.ts';
import { hostedControlPlane } from '../../src/config/hosted-control-plane.ts';
import { allowedTogether, allowedValues, refusedTogether, refusedValues } from '../../src/config/refusals.fixture.ts';
import { type ClusterSpec, clusterSpec } from '../../src/config/schema.ts';
import { ApiError } from '../../src/kube/errors.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { connectWhole, type WholeCluster } from '../../src/kube/whole-cluster.ts';
import { customResourceDefinition } from '../../src/operator/crd/crd.ts';
import { until } from '../until.ts';
import { type Delegate, newNamespace } from './world.ts';

/*
 * An API server judges HostedControlPlanes by the CustomResourceDefinition alone: what k8sk8s refuses on the command line has to
 * be refused there as well, with nobody who runs code of k8sk8s.
 */

/** Refusals that an API server cannot make, each with the reason. One that it makes all the same fails the test. */
const onlyOurs: Record<string, string> = {};

let team: Delegate;
let whole: WholeCluster;

beforeAll(async () => {
  team = await newNamespace();
  whole = connectWhole(team.admin.transport.connection);
  await whole.apply(customResourceDefinition());
  // It is served a moment after it was made.
  await until(async () => (await attempt({ host: 'k.example.com' })) === undefined);
});

function objectOf(spec: object, name = 'k8sk8s'): KubeObject & { spec: object } {
  return { ...hostedControlPlane, metadata: { name }, spec };
}

/** @returns the refusal of the API server; undefined where it would take the object */
async function attempt(spec: object, name?: string): Promise<ApiError | undefined> {
  try {
    await team.admin.create(objectOf(spec, name), { dryRun: true });
    return undefined;
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
}

const inList = (field: keyof ClusterSpec) => (clusterSpec.shape[field].meta() as unknown as FlagMeta).list === true;
const withValue = (field: keyof ClusterSpec, value: unknown) => ({
  host: 'k.example.com',
  ...(field === 'konnectivityEndpoint' && { egress: 'konnectivity' }),
  ...(field === 'loadBalancerClass' && { inCluster: 'loadbalancer' }),
  [field]: inList(field) ? [value] : value,
});

describe('what the values refuse', () => {
  test.each(refusedValues)('%s %j', async (field, value) => {
    const error = await attempt(withValue(field, value));
    if (`${field} ${value}` in onlyOurs) expect(error, 'an exception that is needed no more').toBeUndefined();
    else expect(error).toMatchObject({ status: 422, message: expect.stringContaining(`spec.${field}`) });
  });
});

test.each(allowedValues)('%s %j is allowed', async (field, value) => {
  expect(await attempt(withValue(field, value))).toBeUndefined();
});

describe('what the rules refuse', () => {
  test.each(refusedTogether)('%j', async (changed) => {
    const error = await attempt({ host: 'k.example.com', ...changed });
    if (JSON.stringify(changed) in onlyOurs) expect(error, 'an exception that is needed no more').toBeUndefined();
    else expect(error).toMatchObject({ status: 422 });
  });
});

test.each(allowedTogether)('%j is allowed', async (changed) => {
  expect(await attempt({ host: 'k.example.com', ...changed })).toBeUndefined();
});

test.each([
  [{ host: 'k.example.com', hots: 'x' }, 'hots'],
  [{}, 'spec.host'],
  [{ host: 'k.example.com', resources: ['cloud-manager=cpu=1'] }, 'cloud-manager'],
  [{ host: 'k.example.com', featureGates: { 'a b': 'true' } }, 'spec.featureGates'],
  [{ host: 'k.example.com', featureGates: { X: 'maybe' } }, 'spec.featureGates'],
  [{ host: 'k.example.com', auditPolicy: { kind: 'Secret' } }, 'spec.auditPolicy.kind'],
  [{ host: 'k.example.com', deletionPolicy: 'Burn' }, 'spec.deletionPolicy'],
  [{ host: 'k.example.com', sleepAfter: '4 hours' }, 'spec.sleepAfter'],
  [{ host: 'k.example.com', sleepAfter: '4h', seal: 'key-file' }, 'sleepAfter and seal'],
  [{ host: 'k.example.com', backup: { destination: 'a', schedule: '7m' } }, 'spec.backup.schedule'],
  [{ host: 'k.example.com', backup: { destination: 'a', keep: 5000 } }, 'spec.backup.keep'],
  [{ host: 'k.example.com', backup: { schedule: '1h' } }, 'spec.backup.destination'],
  [load('{host: k.example.com, kubernetesVersion: 1.37}') as object, 'spec.kubernetesVersion'],
])('%j is refused, and the field is named', async (spec, named) => {
  const error = await attempt(spec);
  expect(error?.status).toBeGreaterThanOrEqual(400);
  expect(error?.message).toContain(named.replace('cloud-manager', 'resources'));
});

test('an audit policy keeps what the schema does not know', async () => {
  const auditPolicy = { apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: [{ level: 'Metadata' }] };
  const made = await team.admin.create(objectOf({ host: 'k.example.com', auditPolicy }), { dryRun: true });
  expect(made.spec).toEqual({ host: 'k.example.com', auditPolicy });
});

test('issuers of tokens keep what the schema does not know', async () => {
  const authenticationConfig = {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    jwt: [
      {
        issuer: { url: 'https://login.example.com', audiences: ['x'] },
        claimMappings: { username: { claim: 'sub' }, uid: { claim: 'uid' } },
        claimValidationRules: [{ claim: 'hd', requiredValue: 'example.com' }],
      },
    ],
  };
  const made = await team.admin.create(objectOf({ host: 'k.example.com', authenticationConfig }), { dryRun: true });
  expect(made.spec).toEqual({ host: 'k.example.com', authenticationConfig });
});

test('a namespace has one plane, so its object has one name', async () => {
  expect(await attempt({ host: 'k.example.com' }, 'other')).toMatchObject({ status: 422 });
});

describe('what a plane cannot become', () => {
  let there: Delegate;
  const before = { host: 'k.example.com', kubernetesVersion: '1.36', etcdStorage: '10Gi', etcdStorageClass: 'fast' };

  const change = async (spec: object) => {
    try {
      await there.admin.merge(hostedControlPlane, 'k8sk8s', { spec }, { dryRun: true });
      return undefined;
    } catch (error) {
      return error as ApiError;
    }
  };

  beforeAll(async () => {
    there = await newNamespace();
    await there.admin.create(objectOf(before));
  });

  test('as long as there is no plane everything may be chosen', async () => {
    expect(await change({ serviceCidr: '10.4.0.0/16' })).toBeUndefined();
  });

  test('once there is one, it is refused', async () => {
    const object = { ...objectOf(before), metadata: { name: 'k8sk8s', namespace: there.name } };
    await whole.mergeStatus(object, { planeId: 'plane-1', version: '1.36.3' });
    const refused: object[] = [
      { serviceCidr: '10.4.0.0/16' },
      { podCidr: '10.4.0.0/16' },
      { dnsDomain: 'other.local' },
      { kubernetesVersion: '1.35' },
      { kubernetesVersion: '1.38.0', allowUntestedVersion: true },
      { etcdStorage: '5Gi' },
      { etcdStorage: 'ephemeral', etcdStorageClass: null },
      { etcdStorageClass: 'slow' },
    ];
    for (const spec of refused)
      expect(await change(spec), JSON.stringify(spec)).toMatchObject({
        status: 422,
        message: expect.stringMatching(/cannot change|one minor|can grow/),
      });
    const allowed: object[] = [
      { serviceCidr: '10.3.0.0/16' },
      { kubernetesVersion: '1.37' },
      { kubernetesVersion: null, allowUntestedVersion: true },
      { etcdStorage: '20Gi' },
      { etcdStorage: null },
      { replicas: 3 },
    ];
    for (const spec of allowed) expect(await change(spec), JSON.stringify(spec)).toBeUndefined();
  });
});
