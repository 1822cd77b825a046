import { setTimeout as sleep } from 'node:timers/promises';
import { loadAll } from 'js-yaml';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectHosted } from '../../src/kube/connect.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { readUsageFrom, wasUsed, wordOf } from '../../src/live/usage.ts';
import { issueLeaf } from '../../src/pki/issue.ts';
import access from '../../templates/hosted/access.yaml';
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
  // The API server takes them over within moments.
  await sleep(3000);
});

afterAll(async () => {
  ended.abort();
  await admin?.close();
  await plane?.stop();
});

/** Whether what `who` asks counts as a use. */
async function counts(who: HostedCluster | (() => Promise<unknown>)): Promise<boolean> {
  const before = wordOf([await readUsageFrom(admin, ended.signal)]);
  if (typeof who === 'function') await who();
  else await who.transport.request({ method: 'GET', path: '/api/v1/namespaces', retries: 0 }).catch(() => undefined);
  const used = wasUsed(before, [await readUsageFrom(admin, ended.signal)]);
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

test('what a stranger asks is none, nor is what API servers do by themselves', async () => {
  const { server } = plane;
  const stranger = connectHosted({
    server,
    certificateAuthority: plane.authority.certificate,
    client: { certificate: '', key: '' },
  });
  expect(await counts(stranger)).toBe(false);
  expect(await counts(() => sleep(8000))).toBe(false);
});
