import { setTimeout as sleep } from 'node:timers/promises';
import { loadAll } from 'js-yaml';
import { afterAll, beforeAll, expect, test } from 'vitest';
import access from '../../src/hosted/addons/access.yaml';
import { connectHosted } from '../../src/kube/connect.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { type ApiUsage, flowSchemasWithoutUse, readUsageFrom, wasUsed, wordOf } from '../../src/live/usage.ts';
import { issueLeaf } from '../../src/pki/issue.ts';
import { until } from '../until.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';

// What counts as a use of a plane (spec.sleepAfter), asked of a real API server, with the FlowSchemas that every plane has.

let plane: ControlPlane;
let admin: HostedCluster;
const ended = new AbortController();

async function as(commonName: string, organizations: string[] = []): Promise<HostedCluster> {
  const { authority, server } = plane;
  const client = await issueLeaf(authority, { commonName, organizations, usages: ['clientAuth'] });
  return connectHosted({ server, certificateAuthority: authority.certificate, client });
}

beforeAll(async () => {
  plane = await startControlPlane();
  admin = await as('k8sk8s-deploy', ['system:masters']);
  const schemas = (loadAll(access.replaceAll(/\$\{\w+\}/g, 'x')) as KubeObject[]).filter(
    ({ kind }) => kind === 'FlowSchema',
  );
  expect(schemas).toHaveLength(2);
  for (const schema of schemas) await admin.apply(schema);
  // The API server takes each over a moment later.
  await until(async () => !(await counts(await as('k8sk8s:egress'))));
  await until(async () => !(await counts(stranger())));
});

afterAll(async () => {
  ended.abort();
  await admin?.close();
  await plane?.stop();
});

/** A busy box may take longer to answer than the operator waits, which asks again later, too. */
async function asked(tries = 3): Promise<ApiUsage[]> {
  try {
    return [await readUsageFrom(admin, ended.signal)];
  } catch (error) {
    if (tries === 1) throw error;
    return asked(tries - 1);
  }
}

/** Who shows no credential. */
function stranger(): HostedCluster {
  const { authority, server } = plane;
  return connectHosted({
    server,
    certificateAuthority: authority.certificate,
    client: { certificate: '', key: '' },
  });
}

/** Whether what `who` asks counts as a use. */
async function counts(who: HostedCluster | (() => Promise<unknown>)): Promise<boolean> {
  const before = wordOf(await asked());
  if (typeof who === 'function') await who();
  else await who.transport.request({ method: 'GET', path: '/api/v1/namespaces', retries: 0 }).catch(() => undefined);
  const used = wasUsed(before, await asked());
  if (typeof who !== 'function') await who.close();
  return used;
}

test.each([
  ['kubernetes-admin', ['k8sk8s:cluster-admins']],
  ['anna', []],
])('what %s asks is a use', async (name, groups) => {
  expect(await counts(await as(name, groups))).toBe(true);
});

test.each([
  ['k8sk8s-deploy', ['system:masters']],
  ['k8sk8s:egress', []],
  ['system:konnectivity-server', []],
  ['system:kube-controller-manager', []],
  ['system:kube-scheduler', []],
  ['system:node:worker-1', ['system:nodes']],
  ['system:serviceaccount:kube-system:kube-proxy', ['system:serviceaccounts', 'system:serviceaccounts:kube-system']],
  ['system:serviceaccount:apps:web', ['system:serviceaccounts', 'system:serviceaccounts:apps']],
])('what %s asks is none', async (name, groups) => {
  expect(await counts(await as(name, groups))).toBe(false);
});

/** A FlowSchema such as a tenant makes for people of its own. */
const ownSchema = (name: string, matchingPrecedence: number, subject: object) =>
  ({
    apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
    kind: 'FlowSchema',
    metadata: { name },
    spec: {
      priorityLevelConfiguration: { name: 'workload-high' },
      matchingPrecedence,
      rules: [
        {
          subjects: [subject],
          resourceRules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'], clusterScope: true, namespaces: ['*'] }],
        },
      ],
    },
  }) as KubeObject;

test("what somebody asks whom a FlowSchema of the tenant's names is a use, also a service account", async () => {
  await admin.apply(ownSchema('for-bob', 500, { kind: 'User', user: { name: 'bob' } }));
  const serviceAccount = { name: 'shop', namespace: 'apps' };
  await admin.apply(ownSchema('for-shop', 501, { kind: 'ServiceAccount', serviceAccount }));
  await sleep(3000);
  expect(await counts(await as('bob'))).toBe(true);
  const groups = ['system:serviceaccounts', 'system:serviceaccounts:apps'];
  expect(await counts(await as('system:serviceaccount:apps:shop', groups))).toBe(true);
});

test('of the FlowSchemas that every API server has, those of people alone are a use', async () => {
  const { items } = await admin.list<KubeObject>({ apiVersion: 'flowcontrol.apiserver.k8s.io/v1', kind: 'FlowSchema' });
  const names = items.map(({ metadata }) => metadata.name).filter((name) => !name.startsWith('for-'));
  expect(names.filter((name) => !flowSchemasWithoutUse.has(name)).sort()).toEqual(['catch-all', 'global-default']);
  // None that was one once, either.
  expect([...flowSchemasWithoutUse].filter((name) => !names.includes(name))).toEqual([]);
});

test('what a stranger asks is none, nor is what API servers do by themselves', async () => {
  expect(await counts(stranger())).toBe(false);
  expect(await counts(() => sleep(8000))).toBe(false);
});

test('an API server that counts nothing is not one that nobody uses', async () => {
  const other = await startControlPlane([], () => ['--enable-priority-and-fairness=false']);
  try {
    const { authority, server } = other;
    const client = await issueLeaf(authority, {
      commonName: 'anna',
      organizations: ['system:masters'],
      usages: ['clientAuth'],
    });
    const hosted = connectHosted({ server, certificateAuthority: authority.certificate, client });
    await expect(readUsageFrom(hosted, ended.signal)).rejects.toThrow('does not count');
    await hosted.close();
  } finally {
    await other.stop();
  }
});
