import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type Credential, createAuthority } from '../../src/pki/issue.ts';
import { requireState } from '../../src/sandbox/state.ts';
import { clientId, type IdentityProvider, startProvider } from '../identity-provider.ts';
import { processInPod } from '../kill-in-pod.ts';
import { knownBy } from '../known-by.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { eventually, kubectl, Namespace, run, sandboxCommand, succeeded, uidsOf } from './world.ts';

// People of an outside provider, in a plane with pods: kubelets hand the files on, and no pod is replaced. What tokens count and what
// an API server says of wrong files is in test/api/identity.test.ts.

const host = 'identity.e2e.test';
/** An API server that runs takes an issuer over within a minute and a half, as long as its kubelet takes to hand the file on. */
const all = runsAllOf('e2e/identity');
let home: Namespace;
let authority: Credential;
let address: string;
let provider: IdentityProvider;

beforeAll(async () => {
  home = await Namespace.open('identity');
  succeeded(await sandboxCommand(['host', host], home));
  address = `${requireState(inject('sandbox')).network}.1`;
  authority = await createAuthority('identity provider');
  provider = await startProvider({ host: address, authority, accounts: { alice: ['team-g'] } });
  writeFileSync(path.join(home.cwd, 'provider.pem'), provider.ca);
  succeeded(
    await home.k8sk8s('deploy', '-h', host, '--trust-infra', home.name, ...(all ? ['--replicas', '2'] : issuer())),
  );
});

afterAll(async () => {
  await provider?.stop();
  await home?.k8sk8s('destroy', '--yes');
});

const pods = async () => uidsOf(await home.pods());

/** kubectl as a person of the provider, whose kubelogin is a program of the test that has logged in already. */
async function asAlice(...args: string[]) {
  const bin = path.join(home.cwd, 'bin');
  const credential = {
    apiVersion: 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    status: { token: await provider.login('alice') },
  };
  mkdirSync(bin, { recursive: true });
  const plugin = `#!/bin/sh\necho "$@" >${home.cwd}/asked\ncat <<END\n${JSON.stringify(credential)}\nEND\n`;
  writeFileSync(path.join(bin, 'kubectl-oidc_login'), plugin, { mode: 0o755 });
  if (!existsSync(path.join(bin, 'kubectl'))) symlinkSync(kubectl, path.join(bin, 'kubectl'));
  const env = { ...home.env, PATH: `${bin}:${process.env.PATH}`, KUBECONFIG: 'tls/kubeconfig-oidc' };
  return run(kubectl, args, { env, cwd: home.cwd });
}

const issuer = (url = provider.issuer) => [
  ...['--oidc-issuer', url, '--oidc-client-id', clientId, '--oidc-ca-file', 'provider.pem'],
];

test.runIf(all)('an issuer is taken over by the API server that runs', async () => {
  const before = await pods();
  const outcome = succeeded(await home.k8sk8s('deploy', ...issuer()));
  expect(outcome.stderr + outcome.stdout).toContain('who gets in');
  expect(await pods()).toEqual(before);
});

test('a person logs in by the kubeconfig for people, and gets exactly what the group was granted', async () => {
  succeeded(await home.k8sk8s('kubeconfig', '--oidc'));
  expect(readFileSync(path.join(home.cwd, 'tls/kubeconfig-oidc'), 'utf8')).not.toMatch(/client-key|token:/);
  // An API server that started before its gate asks the issuer again after 10 s.
  await eventually(30, async () =>
    expect(succeeded(await asAlice('auth', 'whoami', '-o', 'json')).stdout).toContain('oidc:alice'),
  );
  expect(readFileSync(path.join(home.cwd, 'asked'), 'utf8')).toContain(`--oidc-issuer-url=${provider.issuer}`);
  expect((await asAlice('get', 'configmaps')).stderr).toContain('Forbidden');
  const grant = ['--oidc-group', 'team-g', '--cluster-role', 'view', '--in-namespace', 'default'];
  succeeded(await home.k8sk8s('user', 'create', ...grant));
  await eventually(30, async () => expect((await asAlice('get', 'configmaps')).code).toBe(0));
  expect((await asAlice('get', 'secrets')).stderr).toContain('Forbidden');
  expect((await asAlice('get', 'configmaps', '-n', 'kube-system')).stderr).toContain('Forbidden');
  expect((await home.k8sk8s('user', 'list')).stdout).toMatch(/oidc:team-g +Group +view in default/);
  succeeded(await home.k8sk8s('user', 'revoke', 'oidc:team-g'));
  await eventually(30, async () => expect((await asAlice('get', 'configmaps')).stderr).toContain('Forbidden'));
});

test('a service account of the infra cluster gets what was granted to it, by tokens that it is given for this plane', async () => {
  const account = `${home.name}:default`;
  const grant = ['--cluster-role', 'view', '--in-namespace', 'default'];
  succeeded(await home.k8sk8s('user', 'create', '--infra-service-account', account, ...grant));
  succeeded(await home.k8sk8s('kubeconfig', '--infra-service-account', 'default'));
  const bin = path.join(home.cwd, 'bin');
  const env = { ...home.env, PATH: `${bin}:${process.env.PATH}`, KUBECONFIG: 'tls/kubeconfig-infra' };
  const asAccount = (...args: string[]) => run(kubectl, args, { env, cwd: home.cwd });
  await eventually(30, async () => expect((await asAccount('get', 'configmaps')).code).toBe(0));
  const known = succeeded(await asAccount('auth', 'whoami', '-o', 'json')).stdout;
  expect(known).toContain(`infra:system:serviceaccount:${account}`);
  expect((await asAccount('get', 'configmaps', '-n', 'kube-system')).stderr).toContain('Forbidden');
});

test.runIf(all)(
  'an issuer that does not answer is not taken over, which takes 3 minutes, and deploy goes back',
  async () => {
    const before = await pods();
    const nobody = `${provider.issuer.replace(/:\d+$/, '')}:1`;
    const line = [path.resolve('dist/cli.js'), 'deploy', '-n', home.name, ...issuer(nobody), '--timeout', '1m'];
    const outcome = await run(process.execPath, line, { env: home.env, cwd: home.cwd, timeout: 500_000 });
    expect(outcome).toEqual(refused('change-undone', nobody));
    expect(await pods()).toEqual(before);
    succeeded(await home.hosted(['get', 'nodes']));
    expect((await home.k8sk8s('diff')).code).toBe(0);
  },
  600_000,
);

test.runIf(all)(
  'where one of two API servers does not reach a new issuer it is named, and both work by the rules of before',
  async () => {
    const second = await startProvider({ host: address, authority, accounts: { alice: ['team-g'] } });
    const [cut, other] = await home.podsOf('kube-apiserver');
    const holder = String(processInPod(cut!.metadata.uid, /pause/));
    const rule = ['OUTPUT', '-p', 'tcp', '-d', address, '--dport', String(second.port), '-j', 'DROP'];
    const inPod = (how: '-A' | '-D') => run('nsenter', ['-t', holder, '-n', 'iptables', '-w', how, ...rule]);
    succeeded(await inPod('-A'));
    try {
      const line = [
        path.resolve('dist/cli.js'),
        'deploy',
        '-n',
        home.name,
        ...issuer(second.issuer),
        '--timeout',
        '1m',
      ];
      const outcome = await run(process.execPath, line, { env: home.env, cwd: home.cwd, timeout: 700_000 });
      expect(outcome).toEqual(refused('change-undone', cut!.metadata.name, second.issuer));
      expect(outcome.stderr).not.toContain(other!.metadata.name);
      const certificate = readFileSync(path.join(home.cwd, 'tls/ca.pem'), 'utf8');
      const ask = async ({ login }: IdentityProvider) =>
        (await knownBy({ server: `https://${host}`, authority: { certificate } }, await login('alice'))).status;
      // Each connection may lead to another API server.
      for (let n = 0; n < 10; n++) expect([await ask(second), await ask(provider)]).toEqual([401, 201]);
      expect((await home.k8sk8s('diff')).code).toBe(0);
    } finally {
      await inPod('-D');
      await second.stop();
    }
  },
  900_000,
);

test('status says that the issuer is away, and the plane goes on', async () => {
  expect((await home.k8sk8s('status')).stdout).not.toContain('issuer-unreachable');
  await provider.stop();
  const status = await home.k8sk8s('status');
  expect(status.stdout + status.stderr).toContain(provider.issuer);
  succeeded(await home.hosted(['get', 'nodes']));
});
