import { mkdtempSync, rmSync } from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseSpec } from '../../src/config/parse.ts';
import type { ClusterSpec, ClusterSpecInput } from '../../src/config/schema.ts';
import { connectHosted } from '../../src/kube/connect.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { buildKubeconfig } from '../../src/kubeconfig/build.ts';
import { webhookServer } from '../../src/kubeconfig/webhook.ts';
import { createAuthority, issueLeaf } from '../../src/pki/issue.ts';
import { authorizationText, openingsOf, webhookName } from '../../src/plane/components/kube-apiserver/identity.ts';
import { freePort } from '../free-port.ts';
import { refused } from '../refused.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { egressConfig, type GateProcess, ownAddress, startGate } from './gate-process.ts';
import { untilAllowed } from './rights.ts';
import { put, takeOver } from './taken-over.ts';

/*
 * A webhook that authorizes: a real API server with the files that k8sk8s writes, the gate's own program, and a webhook over HTTPS
 * with a client certificate, at a private address of this machine. The API server begins with Node and RBAC alone.
 */

let folder: string;
let plane: ControlPlane;
let gate: GateProcess;
let admin: HostedCluster;
let kubeconfig: string;
let server: https.Server;

/** What the webhook was asked, by the user's name. */
const asked: string[] = [];

/** By the beginning of the user's name. */
const answers: Record<string, (response: import('node:http').ServerResponse) => void> = {
  allow: (response) => review(response, { allowed: true }),
  deny: (response) => review(response, { allowed: false, denied: true, reason: 'not on a Monday' }),
  pass: (response) => review(response, { allowed: false }),
  silent: () => undefined,
  broken: (response) => void response.end('<html>'),
  error: (response) => void response.writeHead(500).end(),
};

function review(response: import('node:http').ServerResponse, status: object): void {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', status }));
}

async function listen(port: number): Promise<number> {
  const box = ownAddress();
  const ca = await authority;
  const leaf = await issueLeaf(ca, { commonName: 'webhook', ipAddresses: [box], usages: ['serverAuth'] });
  const options = { cert: leaf.certificate, key: leaf.key, ca: ca.certificate, requestCert: true };
  server = https.createServer({ ...options, rejectUnauthorized: true }, async (request, response) => {
    const { spec } = JSON.parse(await text(request)) as { spec: { user: string } };
    asked.push(spec.user);
    answers[spec.user.split('-')[0]!]?.(response);
  });
  await new Promise<void>((resolve) => server.listen(port, box, resolve));
  return (server.address() as AddressInfo).port;
}

const authority = createAuthority('webhook');

function hangUp(): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

const specOf = (more: Partial<ClusterSpecInput> = {}) => parseSpec({ host: 'k.example.com', ...more }, 'here');

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-authorization-'));
  put(folder, 'authorization.yaml', authorizationText(specOf(), undefined, folder));
  put(folder, 'openings.json', JSON.stringify(openingsOf(specOf())));
  plane = await startControlPlane([], (file) => [
    `--egress-selector-config-file=${file('egress.yaml', egressConfig(folder))}`,
    `--authorization-config=${folder}/authorization.yaml`,
  ]);
  const ca = await authority;
  gate = await startGate(plane, folder, ca.certificate, [`--openings=${folder}/openings.json`]);
  const port = await listen(await freePort(ownAddress()));
  const client = await issueLeaf(ca, { commonName: 'kube-apiserver', usages: ['clientAuth'] });
  kubeconfig = buildKubeconfig({
    server: `https://${ownAddress()}:${port}/authorize`,
    certificateAuthority: ca.certificate,
    clusterName: 'webhook',
    userName: 'kube-apiserver',
    client,
  });
  put(folder, `${webhookName(kubeconfig)}.kubeconfig`, kubeconfig);
  admin = await as('admin', ['system:masters']);
  await admin.create({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'reader' },
    rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] }],
  } as KubeObject);
  await admin.create({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'readers' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'reader' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'readers' }],
  } as KubeObject);
  await untilAllowed(admin, { user: 'somebody', groups: ['readers'] }, { verb: 'list', resource: 'configmaps' });
});

afterAll(async () => {
  await Promise.all(opened.map((each) => each.close()));
  gate?.process.kill('SIGKILL');
  await plane?.stop();
  await hangUp();
  rmSync(folder, { recursive: true, force: true });
});

const opened: HostedCluster[] = [];

async function as(commonName: string, organizations: string[] = []): Promise<HostedCluster> {
  const client = await issueLeaf(plane.authority, { commonName, organizations, usages: ['clientAuth'] });
  const access = { server: plane.server, certificateAuthority: plane.authority.certificate, client };
  opened.push(connectHosted(access));
  return opened.at(-1)!;
}

const takeOverSpec = (spec: ClusterSpec) =>
  takeOver(
    { plane, hosted: admin, folder },
    openingsOf(spec, kubeconfig),
    'authorization.yaml',
    authorizationText(spec, kubeconfig, folder),
  );

let count = 0;

/** The status of a request by somebody who is new to every cache, and what it says. */
async function tried(user: string, kind: 'ConfigMap' | 'Secret', groups: string[] = []) {
  const person = await as(`${user}-${++count}`, groups);
  try {
    await person.transport.request({
      method: 'GET',
      path: `/api/v1/${kind.toLowerCase()}s`,
      retries: 0,
      timeout: 30_000,
    });
    return { status: 200, message: '' };
  } catch (error) {
    return error as { status: number; message: string };
  }
}

test('what RBAC does not allow is asked of the webhook once an API server has taken it over, and nothing before', async () => {
  expect(await tried('allow', 'Secret')).toMatchObject({ status: 403 });
  expect(asked).toEqual([]);
  await takeOverSpec(specOf({ authorizationWebhook: webhookName(kubeconfig) }));
  expect(await tried('allow', 'Secret')).toMatchObject({ status: 200 });
});

describe('behind RBAC', () => {
  test.each([
    ['deny', 403, /not on a Monday/],
    ['pass', 403, /forbidden/],
    // Kubernetes says so where an authorizer failed and no other one allows it.
    ['silent', 500, /Internal/],
    ['broken', 500, /Internal/],
    ['error', 500, /Internal/],
  ])('an answer "%s" allows nothing: %d', async (user, status, message) => {
    expect(await tried(user, 'Secret')).toMatchObject({ status, message: expect.stringMatching(message) });
    expect(asked.at(-1)).toContain(user);
  });

  test('what RBAC allows is not asked', async () => {
    const before = asked.length;
    expect(await tried('deny', 'ConfigMap', ['readers'])).toMatchObject({ status: 200 });
    expect(asked).toHaveLength(before);
  });

  test('while it is away, RBAC decides', async () => {
    const { port } = server.address() as AddressInfo;
    await hangUp();
    expect(await tried('allow', 'Secret')).toMatchObject({ status: 500 });
    expect(await tried('allow', 'ConfigMap', ['readers'])).toMatchObject({ status: 200 });
    await listen(port);
    expect(await tried('allow', 'Secret')).toMatchObject({ status: 200 });
  });
});

describe('before RBAC', () => {
  beforeAll(async () => {
    const webhook = {
      timeout: '2s',
      authorizedTTL: '30s',
      unauthorizedTTL: '30s',
      subjectAccessReviewVersion: 'v1',
      matchConditionSubjectAccessReviewVersion: 'v1',
      failurePolicy: 'Deny',
      connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: '/on/my/machine' },
      matchConditions: [{ expression: '!request.user.startsWith("system:")' }],
    };
    await takeOverSpec(
      specOf({
        authorizationWebhook: webhookName(kubeconfig),
        authorizationConfig: {
          apiVersion: 'apiserver.config.k8s.io/v1',
          kind: 'AuthorizationConfiguration',
          authorizers: [
            { type: 'Webhook', name: 'first', webhook },
            { type: 'Node', name: 'node' },
            { type: 'RBAC', name: 'rbac' },
          ],
        },
      }),
    );
  });

  test.each([
    ['allow', 200],
    ['pass', 200],
    ['deny', 403],
    ['silent', 500],
    ['broken', 500],
    ['error', 500],
  ])('an answer "%s" about what RBAC allows: %d', async (user, status) => {
    expect(await tried(user, 'ConfigMap', ['readers'])).toMatchObject({ status });
  });

  test('while it is away, Kubernetes itself goes on, and people do not', async () => {
    const { port } = server.address() as AddressInfo;
    await hangUp();
    const before = asked.length;
    expect(await tried('allow', 'ConfigMap', ['readers'])).toMatchObject({ status: 500 });
    expect(await tried('system:kube-scheduler', 'ConfigMap', ['readers'])).toMatchObject({ status: 200 });
    // The gate, and the API server about whom kubelets ask.
    expect(await tried('k8sk8s:egress', 'ConfigMap', ['readers'])).toMatchObject({ status: 200 });
    const toKubelets = ['readers', 'k8sk8s:kubelet-clients'];
    expect(await tried('kube-apiserver-kubelet-client', 'ConfigMap', toKubelets)).toMatchObject({ status: 200 });
    expect(await tried('root', 'Secret', ['system:masters'])).toMatchObject({ status: 200 });
    await listen(port);
    expect(asked).toHaveLength(before);
  });
});

test('a kubeconfig that is of no use in the pod of the API server is refused', () => {
  expect(webhookServer(kubeconfig)).toMatch(/\/authorize$/);
  for (const [find, instead] of [
    ['certificate-authority-data: ', 'certificate-authority: /ca.pem\n      x: '],
    ['client-certificate-data: ', 'client-certificate: /c.pem\n      x: '],
    ['server: https', 'server: http'],
    ['current-context: webhook', 'current-context: another'],
  ] as const)
    expect(() => webhookServer(kubeconfig.replace(find, instead)), instead).toThrow(refused('webhook-kubeconfig'));
});
