import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { grantOutside, groupInRbac, issuerOf, listOutside, revokeOutside } from '../../src/access/outside.ts';
import { authenticatorsOf } from '../../src/config/identity.ts';
import { parseSpec } from '../../src/config/parse.ts';
import type { ClusterSpec, ClusterSpecInput } from '../../src/config/schema.ts';
import { unreachableIssuers } from '../../src/hosted/issuers.ts';
import { connectHosted } from '../../src/kube/connect.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { type Credential, createAuthority, issueLeaf } from '../../src/pki/issue.ts';
import { authenticationText, openingsOf } from '../../src/plane/components/kube-apiserver/identity.ts';
import { causeInLog } from '../../src/rollout/trial.ts';
import { ensureBinaries } from '../../src/sandbox/artifacts/ensure.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import {
  clientId,
  type IdentityProvider,
  type ProviderOptions,
  signingKey,
  startProvider,
  token,
} from '../identity-provider.ts';
import { refused } from '../refused.ts';
import { until } from '../until.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { egressConfig, type GateProcess, ownAddress, startGate } from './gate-process.ts';
import { put, takeOver } from './taken-over.ts';

/*
 * Who gets in by an outside provider: a real API server with the files that k8sk8s writes, the gate's own program beside it, and
 * real OpenID Connect providers at a private address of this machine. The API server begins without any issuer.
 */

let box: string;
let folder: string;
let plane: ControlPlane;
let gate: GateProcess;
let hosted: HostedCluster;
let agent: https.Agent;
let admin: Credential;
let authority: Credential;
let first: IdentityProvider;
let second: IdentityProvider;
let keys: IdentityProvider;
/** Its keys are at another one. */
let apart: IdentityProvider;
/** Where tokens leave their groups, as --allow-egress opens it, and what it answers to who asks for them. */
let opened: IdentityProvider;
let groupsThere: { status: number; headers?: Record<string, string>; body?: string };
let spec: ClusterSpec;
const signing = signingKey();

const accounts = {
  alice: ['team-g'],
  bob: ['team-h'],
  carol: ['system:named'],
  mallory: ['system:masters', 'team-g'],
  oscar: ['k8sk8s:cluster-admins'],
};
const options = (more: Partial<ProviderOptions> = {}): ProviderOptions => ({ accounts, host: box, authority, ...more });

const specOf = (more: Partial<ClusterSpecInput> = {}) =>
  parseSpec(
    { host: 'k.example.com', oidcIssuer: first.issuer, oidcClientId: clientId, oidcCa: first.ca, ...more },
    'here',
  );

beforeAll(async () => {
  box = ownAddress();
  folder = mkdtempSync(path.join(tmpdir(), 'k8sk8s-identity-'));
  authority = await createAuthority('identity provider');
  first = await startProvider(options({ signing }));
  second = await startProvider(options());
  keys = await startProvider(options());
  apart = await startProvider(options({ signing: keys.signing, jwksUri: `${keys.issuer}/jwks` }));
  opened = await startProvider(options({ instead: (url) => (url === '/groups-of' ? groupsThere : undefined) }));
  const none = parseSpec({ host: 'k.example.com' }, 'here');
  put(folder, 'authentication.yaml', authenticationText(none));
  put(folder, 'openings.json', JSON.stringify(openingsOf(none)));
  plane = await startControlPlane([], (file) => [
    `--egress-selector-config-file=${file('egress.yaml', egressConfig(folder))}`,
    `--authentication-config=${folder}/authentication.yaml`,
  ]);
  gate = await startGate(plane, folder, authority.certificate, [
    `--openings=${folder}/openings.json`,
    `--open=${new URL(opened.issuer).host}`,
  ]);
  admin = await issueLeaf(plane.authority, {
    commonName: 'admin',
    organizations: ['system:masters'],
    usages: ['clientAuth'],
  });
  hosted = connectHosted({ server: plane.server, certificateAuthority: plane.authority.certificate, client: admin });
  agent = new https.Agent({ ca: plane.authority.certificate });
  await hosted.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team-g' } });
  await hosted.create({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'reader' },
    rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] }],
  } as KubeObject);
});

afterAll(async () => {
  await hosted?.close();
  gate?.process.kill('SIGKILL');
  await plane?.stop();
  agent?.destroy();
  await Promise.all([first, second, keys, apart, opened].map((each) => each?.stop()));
  rmSync(folder, { recursive: true, force: true });
});

async function takeOverSpec(next: ClusterSpec, timeout?: number): Promise<void> {
  const file = authenticationText(next);
  await takeOver({ plane, hosted, folder }, openingsOf(next), 'authentication.yaml', file, timeout);
  spec = next;
}

interface Answer {
  status: number;
  body: string;
}

function ask(bearer: string, at: string, method = 'GET', body?: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' };
    const request = https.request(`${plane.server}${at}`, { agent, method, headers }, async (response) =>
      resolve({ status: response.statusCode!, body: await text(response) }),
    );
    request.once('error', reject);
    request.end(body && JSON.stringify(body));
  });
}

/** Who the API server says that somebody is; undefined where it says 401. */
async function whoIs(bearer: string): Promise<{ username: string; groups: string[] } | undefined> {
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  const { status, body } = await ask(bearer, '/apis/authentication.k8s.io/v1/selfsubjectreviews', 'POST', review);
  if (status === 401) return undefined;
  return (JSON.parse(body) as { status: { userInfo: { username: string; groups: string[] } } }).status.userInfo;
}

test('an API server that runs takes an issuer over, and by its tokens a group gets exactly what its binding gives', async () => {
  const alice = await first.login('alice');
  expect(await whoIs(alice)).toBeUndefined();
  await takeOverSpec(specOf());
  expect(await whoIs(alice)).toMatchObject({
    username: 'oidc:alice',
    groups: ['oidc:team-g', 'system:authenticated'],
  });
  const statusOf = async (bearer: string, at: string, method?: string, body?: object) =>
    (await ask(bearer, at, method, body)).status;
  expect(await statusOf(alice, '/api/v1/namespaces/team-g/configmaps')).toBe(403);
  const group = groupInRbac(issuerOf(spec), 'team-g');
  await grantOutside(
    hosted,
    { kind: 'Group', name: group },
    { kind: 'ClusterRole', role: 'reader', namespace: 'team-g' },
  );
  // RBAC is known to the API server a moment after it was written.
  await until(async () => (await statusOf(alice, '/api/v1/namespaces/team-g/configmaps')) === 200);
  expect(await statusOf(alice, '/api/v1/namespaces/team-g/secrets')).toBe(403);
  expect(await statusOf(alice, '/api/v1/namespaces/default/configmaps')).toBe(403);
  const configMap = { metadata: { name: 'x' } };
  expect(await statusOf(alice, '/api/v1/namespaces/team-g/configmaps', 'POST', configMap)).toBe(403);
  const bob = await first.login('bob');
  expect(await whoIs(bob)).toMatchObject({ username: 'oidc:bob' });
  expect(await statusOf(bob, '/api/v1/namespaces/team-g/configmaps')).toBe(403);
  expect(gate.log()).not.toContain('is closed');
});

const hour = 3600;
const now = () => Math.floor(Date.now() / 1000);

describe('a token that is refused', () => {
  test.each<[string, () => string]>([
    ['expired', () => token(signing, { iss: first.issuer, iat: now() - hour, exp: now() - 60 })],
    ['not yet valid', () => token(signing, { iss: first.issuer, nbf: now() + hour, exp: now() + 2 * hour })],
    ['for another audience', () => token(signing, { iss: first.issuer, aud: 'another' })],
    ['of another issuer', () => token(signing, { iss: 'https://login.example.com' })],
    ['of a key that the issuer does not have', () => token(signingKey(), { iss: first.issuer })],
    [
      'of another key by the name of the right one',
      () => token({ ...signingKey(), kid: signing.kid }, { iss: first.issuer }),
    ],
    ['of the algorithm none', () => token(undefined, { iss: first.issuer })],
    ['without a subject', () => token(signing, { iss: first.issuer, sub: undefined })],
  ])('%s', async (_, made) => {
    expect(await whoIs(made())).toBeUndefined();
  });

  test('of an issuer that was not named', async () => {
    expect(await whoIs(await second.login('alice'))).toBeUndefined();
  });
});

describe('groups that a token leaves to another place (distributed claims)', () => {
  let seen: string[];
  let closed: IdentityProvider;

  // One for each test: the gate says one thing once a minute.
  beforeEach(async () => {
    seen = [];
    closed = await startProvider(options({ instead: (url) => ({ status: seen.push(url) && 200 }) }));
  });
  afterEach(() => closed.stop());

  const leaving = (endpoint: string) =>
    token(signing, {
      iss: first.issuer,
      jti: randomUUID(),
      _claim_names: { groups: 'there' },
      _claim_sources: { there: { endpoint, access_token: 'x' } },
    });
  const leavingThere = () => leaving(`${opened.issuer}/groups-of`);
  const groups = ['team-d', 'system:masters'];

  test('count where --allow-egress opens the place, with the prefix of the issuer', async () => {
    groupsThere = { status: 200, body: token(opened.signing, { iss: opened.issuer, groups }) };
    // The API server asks for the keys of that place beside the first requests.
    await until(async () => (await whoIs(leavingThere())) !== undefined, { said: gate.log });
    expect(await whoIs(leavingThere())).toMatchObject({
      username: 'oidc:alice',
      groups: ['oidc:team-d', 'oidc:system:masters', 'system:authenticated'],
    });
  });

  test('count for nothing, and nobody with them, where somebody else signed them', async () => {
    groupsThere = { status: 200, body: token(signingKey(), { iss: opened.issuer, groups }) };
    expect(await whoIs(leavingThere())).toBeUndefined();
  });

  test.each<[string, () => string]>([
    ['that is closed', () => leaving(`${closed.issuer}/groups-of`)],
    [
      'that redirects to one that is closed',
      () => {
        groupsThere = { status: 302, headers: { location: `${closed.issuer}/groups-of` } };
        return leavingThere();
      },
    ],
    [
      'that answers by an issuer that is closed',
      () => {
        groupsThere = { status: 200, body: token(closed.signing, { iss: closed.issuer, groups }) };
        return leavingThere();
      },
    ],
  ])('lead to no place %s', async (_, leadingThere) => {
    expect(await whoIs(leadingThere())).toBeUndefined();
    await until(() => gate.log().includes(`${box}:${closed.port}: ${box} is closed`), { said: gate.log });
    expect(seen).toEqual([]);
  });
});

test('the same token, well signed and in time, counts', async () => {
  expect(await whoIs(token(signing, { iss: first.issuer }))).toMatchObject({ username: 'oidc:alice' });
});

test('what was granted to a group is listed, and can be taken back', async () => {
  const grants = [{ kind: 'ClusterRole', role: 'reader', namespace: 'team-g' }];
  expect(await listOutside(hosted)).toEqual([{ kind: 'Group', name: 'oidc:team-g', grants }]);
  await expect(
    grantOutside(hosted, { kind: 'Group', name: 'oidc:x' }, { kind: 'ClusterRole', role: 'raeder' }),
  ).rejects.toEqual(refused('no-role'));
  const role = { kind: 'ClusterRole' as const, role: 'reader' };
  await grantOutside(hosted, { kind: 'Group', name: 'oidc:team-h' }, role);
  const bob = await first.login('bob');
  const status = async () => (await ask(bob, '/api/v1/namespaces/default/configmaps')).status;
  await until(async () => (await status()) === 200);
  expect(await revokeOutside(hosted, { kind: 'Group', name: 'oidc:team-h' })).toBe(1);
  await until(async () => (await status()) === 403);
});

test('the prefix keeps names of Kubernetes away', async () => {
  const mallory = await first.login('mallory');
  expect((await whoIs(mallory))?.groups).toContain('oidc:system:masters');
  expect((await ask(mallory, '/api/v1/secrets')).status).toBe(403);
});

type Configuration = NonNullable<ClusterSpecInput['authenticationConfig']>;

/** What --authentication-config takes, with these issuers. */
const authentication = (...jwt: Configuration['jwt']): Configuration => ({
  apiVersion: 'apiserver.config.k8s.io/v1',
  kind: 'AuthenticationConfiguration',
  jwt,
});

describe('with several issuers', () => {
  const fromFile = ({ issuer, ca }: IdentityProvider, groups: { claim: string; prefix: string }) => ({
    issuer: { url: issuer, audiences: [clientId], certificateAuthority: ca },
    claimMappings: { username: { claim: 'email' }, groups },
  });

  beforeAll(async () => {
    await takeOverSpec(
      specOf({
        oidcUsernamePrefix: '-',
        oidcGroupsPrefix: '-',
        allowSystemNames: ['system:named'],
        authenticationConfig: authentication(
          fromFile(second, { claim: 'groups', prefix: 'second:' }),
          fromFile(apart, { claim: 'groups', prefix: 'apart:' }),
        ),
      }),
    );
  });

  test('one user name of two of them is two users', async () => {
    expect(await whoIs(await first.login('alice'))).toMatchObject({
      username: 'alice',
      groups: ['team-g', 'system:authenticated'],
    });
    expect(await whoIs(await second.login('alice'))).toMatchObject({
      username: `${second.issuer}#alice@example.com`,
      groups: ['second:team-g', 'system:authenticated'],
    });
  });

  test('without a prefix a name of Kubernetes is refused, unless it was asked for', async () => {
    expect(await whoIs(await first.login('mallory'))).toBeUndefined();
    expect(await whoIs(token(signing, { iss: first.issuer, sub: 'system:admin' }))).toBeUndefined();
    // The group of tls/kubeconfig, and the user of the gate.
    expect(await whoIs(await first.login('oscar'))).toBeUndefined();
    expect(await whoIs(token(signing, { iss: first.issuer, sub: 'k8sk8s:egress' }))).toBeUndefined();
    expect(await whoIs(await first.login('carol'))).toMatchObject({ groups: ['system:named', 'system:authenticated'] });
  });

  test('the gate lets the API server through to an issuer whose keys are elsewhere', async () => {
    expect(await whoIs(await apart.login('alice'))).toMatchObject({ username: `${apart.issuer}#alice@example.com` });
  });
});

test('a key that was rolled is followed, and what the old one signed counts no more', async () => {
  await first.stop();
  const next = signingKey();
  first = await startProvider(options({ signing: next, port: first.port }));
  expect(await whoIs(await first.login('alice'))).toMatchObject({ username: 'alice' });
  expect(await whoIs(token(signing, { iss: first.issuer, jti: 'fresh' }))).toBeUndefined();
});

test('while the provider is away the others get in, and it is said', async () => {
  const issuers = authenticatorsOf(spec);
  expect(await unreachableIssuers(hosted, issuers, 'team-a')).toEqual([]);
  await first.stop();
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'robot', namespace: 'team-g' } };
  await hosted.create(account);
  const { body } = await hosted.transport.request<{ status: { token: string } }>({
    method: 'POST',
    path: '/api/v1/namespaces/team-g/serviceaccounts/robot/token',
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
  });
  expect(await whoIs(body.status.token)).toMatchObject({ username: 'system:serviceaccount:team-g:robot' });
  expect(await whoIs(await second.login('bob'))).toMatchObject({ username: `${second.issuer}#bob@example.com` });
  const found = await unreachableIssuers(hosted, issuers, 'team-a');
  expect(found).toMatchObject([{ anchor: 'issuer-unreachable', what: expect.stringContaining(first.issuer) }]);
  first = await startProvider(options({ signing, port: first.port }));
  expect(await unreachableIssuers(hosted, issuers, 'team-a')).toEqual([]);
});

describe('new rules', () => {
  test.each<[string, Partial<ClusterSpecInput>, string]>([
    [
      'CEL that does not compile',
      {
        oidcIssuer: undefined,
        oidcClientId: undefined,
        oidcCa: undefined,
        authenticationConfig: authentication({
          issuer: { url: 'https://login.example.com', audiences: ['x'] },
          claimMappings: { username: { expression: 'claims.sub + 1 +' } },
        }),
      },
      'jwt[0].claimMappings.username.expression',
    ],
    [
      'a field that there is not',
      {
        authenticationConfig: authentication({
          issuer: { url: 'https://login.example.com', audience: ['x'] },
          claimMappings: { username: { claim: 'sub' } },
        }),
      },
      'audience',
    ],
  ])('with %s are named by the trial, whose API server ends at its start', async (_, more, named) => {
    const programs = await ensureBinaries(['kube-apiserver'], {}, terminalReporter());
    const file = path.join(folder, 'wrong.yaml');
    writeFileSync(file, authenticationText(specOf(more)));
    const args = readFileSync(`/proc/${plane.pid}/cmdline`, 'utf8').split('\0').slice(1, -1);
    const { stderr, status } = spawnSync(
      programs['kube-apiserver'],
      [...args, '--secure-port=1', `--authentication-config=${file}`],
      { encoding: 'utf8', timeout: 30_000 },
    );
    expect(status).toBe(1);
    expect(causeInLog(stderr)).toContain(named);
  });

  test('whose issuer leads elsewhere are not taken over, which is said; those of before stay in force', async () => {
    const seen: string[] = [];
    const elsewhere = await startProvider(
      options({
        instead: (url) => {
          seen.push(url);
          return { status: 200 };
        },
      }),
    );
    const location = `${elsewhere.issuer}/secret`;
    const leading = await startProvider(options({ instead: () => ({ status: 302, headers: { location } }) }));
    const error = await takeOverSpec(specOf({ oidcIssuer: leading.issuer }), 15_000).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ anchor: 'identity-not-taken', why: expect.stringContaining('refused by the gate') });
    await until(() => gate.log().includes(`${box}:${elsewhere.port}: ${box} is closed`), { said: gate.log });
    expect(seen).toEqual([]);
    expect(await whoIs(await second.login('alice'))).toMatchObject({
      groups: expect.arrayContaining(['second:team-g']),
    });
    await Promise.all([elsewhere, leading].map((each) => each.stop()));
  });
});
