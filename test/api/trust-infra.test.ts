import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { grantOutside, serviceAccountInRbac } from '../../src/access/outside.ts';
import { infraIssuerHost } from '../../src/base/infra-issuer.ts';
import { allAuthenticatorsOf, type InfraIssuer, infraAudience } from '../../src/config/infra-identity.ts';
import { parseSpec } from '../../src/config/parse.ts';
import { unreachableIssuers } from '../../src/hosted/issuers.ts';
import { connectHosted, connectInfra } from '../../src/kube/connect.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { InfraCluster } from '../../src/kube/infra-cluster.ts';
import { infraIssuerUrl } from '../../src/live/infra-issuer.ts';
import { issueLeaf } from '../../src/pki/issue.ts';
import { authenticationText, openingsOf } from '../../src/plane/components/kube-apiserver/identity.ts';
import { knownBy } from '../known-by.ts';
import { refused } from '../refused.ts';
import { soon, until } from '../until.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { egressConfig, type GateProcess, startGate } from './gate-process.ts';
import { put } from './taken-over.ts';

/*
 * Service accounts of the infra cluster as users of the hosted one (--trust-infra): two real API servers, and the gate's own program
 * beside the hosted one. The infra cluster's API server tells nobody without a login who its issuer is.
 */

let folder: string;
let infraPlane: ControlPlane;
let hostedPlane: ControlPlane;
let gate: GateProcess;
let infra: InfraCluster;
let hosted: HostedCluster;
let infraIssuer: InfraIssuer;

const planeId = 'plane-0123456789';
const audience = infraAudience(planeId);
const spec = parseSpec({ host: 'k.example.com', trustInfra: ['team-a'] }, 'here');
const accountFolder = () => path.join(folder, 'account');

const administrator = async (plane: ControlPlane) =>
  issueLeaf(plane.authority, { commonName: 'admin', organizations: ['system:masters'], usages: ['clientAuth'] });

/** A token of a service account of the infra cluster. */
async function tokenOf(namespace: string, name: string, body: object = {}): Promise<string> {
  const answer = await infra.transport.request<{ status: { token: string } }>({
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: [audience], ...body } },
  });
  return answer.body.status.token;
}

/** As whom the hosted API server knows the bearer of a token. */
const knownAs = (token: string) => knownBy(hostedPlane, token);

/** As a kubelet does for the volume of the gate. */
async function writeAccount(plane: ControlPlane): Promise<void> {
  const token = await tokenOf('plane', 'default', { audiences: [] });
  mkdirSync(accountFolder(), { recursive: true });
  writeFileSync(path.join(accountFolder(), 'token'), token);
  writeFileSync(path.join(accountFolder(), 'ca.crt'), plane.authority.certificate);
}

async function connectAsAdministrator(plane: ControlPlane): Promise<InfraCluster> {
  const { certificate, key } = await administrator(plane);
  return connectInfra(
    {
      server: plane.server,
      tls: { authorities: [plane.authority.certificate] },
      credentials: { client: { certificate: { text: certificate }, key: { text: key } } },
    },
    'plane',
  );
}

/** Namespaces and service accounts, of which no controller is here. */
async function populate(): Promise<void> {
  for (const namespace of ['plane', 'team-a', 'team-b']) {
    await post('/api/v1/namespaces', { kind: 'Namespace', metadata: { name: namespace } });
    for (const name of ['default', 'builder'])
      await post(`/api/v1/namespaces/${namespace}/serviceaccounts`, { kind: 'ServiceAccount', metadata: { name } });
  }
}

async function post(path: string, body: object): Promise<void> {
  await infra.transport.request({ method: 'POST', path, body: { apiVersion: 'v1', ...body } });
}

async function startTheGate(plane: ControlPlane): Promise<void> {
  const { hostname, port } = new URL(plane.server);
  gate = await startGate(
    hostedPlane,
    folder,
    hostedPlane.authority.certificate,
    [`--openings=${folder}/openings.json`, `--infra-credentials=${accountFolder()}`],
    { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port },
  );
}

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-trust-'));
  put(folder, 'authentication.yaml', authenticationText(spec));
  put(folder, 'openings.json', JSON.stringify(openingsOf(spec)));
  infraPlane = await startControlPlane();
  infra = await connectAsAdministrator(infraPlane);
  await populate();
  hostedPlane = await startControlPlane([], (file) => [
    `--egress-selector-config-file=${file('egress.yaml', egressConfig(folder))}`,
    `--authentication-config=${folder}/authentication.yaml`,
    '--service-account-issuer=https://k.example.com',
  ]);
  const { authority, server } = hostedPlane;
  hosted = connectHosted({
    server,
    certificateAuthority: authority.certificate,
    client: await administrator(hostedPlane),
  });
  const leaf = { commonName: 'infra-issuer', dnsNames: [infraIssuerHost], usages: ['serverAuth' as const] };
  const { certificate, key } = await issueLeaf(authority, leaf);
  put(folder, 'infra-issuer.crt', certificate);
  put(folder, 'infra-issuer.key', key);
  await writeAccount(infraPlane);
  await startTheGate(infraPlane);
  infraIssuer = { url: await infraIssuerUrl(infra, spec), certificateAuthority: authority.certificate, audience };
  put(folder, 'authentication.yaml', authenticationText(spec, infraIssuer));
});

afterAll(async () => {
  await Promise.all([infra, hosted].map((each) => each?.close()));
  gate?.process.kill('SIGKILL');
  await Promise.all([infraPlane, hostedPlane].map((each) => each?.stop()));
  rmSync(folder, { recursive: true, force: true });
});

function statusOf(url: string, ca: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    https.get(url, { ca }, (response) => resolve(response.resume().statusCode)).once('error', reject);
  });
}

async function untilKnown(token: string): Promise<void> {
  await until(async () => (await knownAs(token)).status === 201, { seconds: 90, every: 500, said: gate.log });
}

test('its issuer is learnt as the account of the API server reads it, and nobody without a login learns it', async () => {
  expect(infraIssuer.url).toBe('https://kubernetes.default.svc');
  const { server, authority } = infraPlane;
  for (const at of ['/.well-known/openid-configuration', '/openid/v1/jwks'])
    expect(await statusOf(`${server}${at}`, authority.certificate), at).toBe(403);
});

test('a token for this plane is known by the name of the service account, with a prefix', async () => {
  const token = await tokenOf('team-a', 'builder');
  await untilKnown(token);
  expect(await knownAs(token)).toMatchObject({
    username: 'infra:system:serviceaccount:team-a:builder',
    groups: ['infra:system:serviceaccounts', 'infra:system:serviceaccounts:team-a', 'system:authenticated'],
  });
});

test.each([
  ['made for the infra cluster itself', 'team-a', { audiences: [] }],
  ['made for another plane', 'team-a', { audiences: [infraAudience('plane-9876543210')] }],
  ['of a namespace that is not trusted', 'team-b', {}],
  ['that lives for more than a day', 'team-a', { expirationSeconds: 90_000 }],
])('a token %s is refused', async (_, namespace, body) => {
  expect((await knownAs(await tokenOf(namespace, 'builder', body))).status).toBe(401);
});

test('a service account has the rights that its binding gives, and no namesake of the hosted cluster has', async () => {
  const subject = { kind: 'User', name: serviceAccountInRbac(spec, 'team-a:builder') } as const;
  await grantOutside(hosted, subject, { kind: 'ClusterRole', role: 'system:node-problem-detector' });
  const allowed = async (user: string, groups: string[]) => {
    const review = await hosted.transport.request<{ status: { allowed: boolean } }>({
      method: 'POST',
      path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
      body: {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: { user, groups, resourceAttributes: { verb: 'get', resource: 'nodes' } },
      },
    });
    return review.body.status.allowed;
  };
  // RBAC is known to the API server a moment after it was written.
  await vi.waitFor(async () => expect(await allowed(subject.name, ['system:authenticated'])).toBe(true), soon);
  expect(await allowed('system:serviceaccount:team-a:builder', ['system:authenticated'])).toBe(false);
  expect(() => serviceAccountInRbac(spec, 'team-b:builder')).toThrow(refused('no-issuer', 'team-b'));
});

test('keys that are rolled over are found at once, and an infra cluster that does not answer is told', async () => {
  const other = await startControlPlane();
  try {
    // The same issuer with another key.
    const before = infra;
    infra = await connectAsAdministrator(other);
    await populate();
    gate.process.kill('SIGKILL');
    await startTheGate(other);
    await writeAccount(other);
    await untilKnown(await tokenOf('team-a', 'builder'));
    await infra.close();
    infra = before;
  } finally {
    await other.stop();
  }
  const found = await unreachableIssuers(hosted, allAuthenticatorsOf(spec, infraIssuer), 'plane');
  expect(found).toMatchObject([{ anchor: 'issuer-unreachable' }]);
  await until(() => gate.log().includes('/openid/v1/jwks'));
  expect((await hosted.version()).gitVersion).toMatch(/^v1/);
});

test('an infra cluster that tells its issuer to nobody is named with the right that is missing', async () => {
  const path = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:service-account-issuer-discovery';
  await infra.transport.request({ method: 'DELETE', path });
  await vi.waitFor(
    () =>
      expect(infraIssuerUrl(infra, spec)).rejects.toEqual(
        refused('infra-issuer', 'system:service-account-issuer-discovery'),
      ),
    soon,
  );
  await expect(infraIssuerUrl(infra, { serviceAccountName: 'nobody' })).rejects.toEqual(
    refused('infra-issuer', 'nobody'),
  );
});
