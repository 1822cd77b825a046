import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { requireState } from '../../src/sandbox/state.ts';
import { clientId, type IdentityProvider, startProvider } from '../identity-provider.ts';
import { Namespace, sandboxCommand, succeeded } from './world.ts';

// People of an outside provider, in a plane with pods: kubelets hand the files on, and no pod is replaced. What tokens count and what
// an API server says of wrong files is in test/api/identity.test.ts.

const host = 'identity.e2e.test';
let home: Namespace;
let provider: IdentityProvider;

beforeAll(async () => {
  home = await Namespace.open('identity');
  succeeded(await sandboxCommand(['host', host], home));
  const address = `${requireState(inject('sandbox')).network}.1`;
  provider = await startProvider({ host: address, accounts: { alice: ['team-g'] } });
  writeFileSync(path.join(home.cwd, 'provider.pem'), provider.ca);
  succeeded(await home.k8sk8s('deploy', '-h', host));
});

afterAll(async () => {
  await provider?.stop();
  await home?.k8sk8s('destroy', '--yes');
});

const pods = async () => succeeded(await home.infra('get', 'pods', '-o', 'jsonpath={.items[*].metadata.uid}')).stdout;
const asAlice = async (...args: string[]) =>
  home.hosted(['--token', await provider.login('alice'), '--client-certificate=', '--client-key=', ...args]);

test('an issuer is taken over by the API server that runs', async () => {
  const before = await pods();
  const issuer = ['--oidc-issuer', provider.issuer, '--oidc-client-id', clientId, '--oidc-ca-file', 'provider.pem'];
  const outcome = succeeded(await home.k8sk8s('deploy', ...issuer));
  expect(outcome.stderr + outcome.stdout).toContain('works by the new rules');
  expect(await pods()).toBe(before);
  expect(succeeded(await asAlice('auth', 'whoami', '-o', 'json')).stdout).toContain('oidc:alice');
});

test('status says that the issuer is away, and the plane goes on', async () => {
  expect((await home.k8sk8s('status')).stdout).not.toContain('issuer-unreachable');
  await provider.stop();
  const status = await home.k8sk8s('status');
  expect(status.stdout + status.stderr).toContain(provider.issuer);
  succeeded(await home.hosted(['get', 'nodes']));
});
