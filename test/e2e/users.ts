import { statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { refused } from '../refused.ts';
import { eventually, type Namespace, succeeded } from './world.ts';

// People with certificates of a plane; tests of credentials.test.ts.

const as = (home: Namespace, name: string, ...args: string[]) =>
  home.hosted([`--kubeconfig=${name}.kubeconfig`, ...args]);

export async function mayReadUntilRevoked(home: Namespace): Promise<void> {
  const created = succeeded(
    await home.k8sk8s('user', 'create', 'alice', '--cluster-role', 'view', '--ttl', '1h', '--file', 'alice.kubeconfig'),
  );
  expect(created.stdout).toBe('');
  expect(statSync(path.join(home.cwd, 'alice.kubeconfig')).mode & 0o777).toBe(0o600);
  // RBAC counts a moment after it was written.
  await eventually(20, async () => succeeded(await as(home, 'alice', 'get', 'configmaps')));
  expect((await as(home, 'alice', 'get', 'secrets')).stderr).toContain('User "alice" cannot list');
  expect(succeeded(await home.k8sk8s('user', 'list')).stdout).toMatch(/^alice +- +view +20/m);

  const revoked = succeeded(await home.k8sk8s('user', 'revoke', 'alice'));
  expect(revoked.stderr).toContain('A certificate cannot be called back');
  await eventually(20, async () =>
    expect((await as(home, 'alice', 'get', 'configmaps')).stderr).toContain('User "alice" cannot list'),
  );
  expect(succeeded(await home.k8sk8s('user', 'list')).stdout).toMatch(/^alice +- +revoked/m);
}

export async function groupInNamespace(home: Namespace): Promise<void> {
  const { stdout } = succeeded(
    await home.k8sk8s(
      'user',
      'create',
      'bob@example.com',
      '--group',
      'devs',
      '--cluster-role',
      'edit',
      '--in-namespace',
      'default',
    ),
  );
  writeFileSync(path.join(home.cwd, 'bob.kubeconfig'), stdout);
  await eventually(20, async () => succeeded(await as(home, 'bob', 'create', 'configmap', 'of-bob')));
  expect((await as(home, 'bob', '-n', 'kube-system', 'get', 'configmaps')).code).not.toBe(0);
  await home.ask('create', 'clusterrolebinding', 'devs', '--clusterrole=view', '--group=devs');
  const revoked = succeeded(await home.k8sk8s('user', 'revoke', 'bob@example.com'));
  expect(revoked.stderr).toContain('clusterrolebinding "devs" (view)');
  await eventually(20, async () =>
    expect((await as(home, 'bob', 'create', 'configmap', 'of-bob', '--dry-run=server')).stderr).toContain(
      'cannot create',
    ),
  );
  await eventually(20, async () => succeeded(await as(home, 'bob', 'get', 'configmaps')));
}

export async function impossibleUsers(home: Namespace): Promise<void> {
  const tried = (...args: string[]) => home.k8sk8s('user', 'create', ...args);
  expect(await tried('carol', '--group', 'system:masters')).toEqual(refused('bad-values', 'system:masters'));
  expect(await tried('carol', '--ttl', '5m')).toEqual(refused('bad-values', '--ttl', '10m'));
  expect(await tried('carol', '--role', 'reader')).toEqual(refused('bad-values', '--in-namespace'));
  expect(await tried('carol', '--cluster-role', 'veiw')).toEqual(refused('no-role', '"view"'));
  expect(await tried('carol', '--cluster-role', 'view', '--in-namespace', 'nowhere')).toEqual(
    refused('no-role', '"nowhere"'),
  );
  expect((await home.k8sk8s('user', 'list')).stdout).not.toContain('carol');
  expect(await home.k8sk8s('user', 'revoke', 'carol')).toEqual(refused('no-user', '"carol"'));
}
