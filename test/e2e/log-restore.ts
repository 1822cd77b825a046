import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { refused } from '../refused.ts';
import type { LogWorld } from './log-world.ts';
import { asInfraAdmin, eventually, succeeded } from './world.ts';

// What becomes of a plane's logs by a backup and a restore; test of log-view.test.ts.

/** Where the plane is restored nobody has made the account at first, as in another infra cluster. */
export async function restoredAsElsewhere(logs: LogWorld): Promise<void> {
  const { home } = logs;
  const passphrase = ['--passphrase-file', 'passphrase'];
  const account = ['-n', home.name, 'serviceaccount,role,rolebinding', 'k8sk8s-logs'];
  writeFileSync(path.join(home.cwd, 'passphrase'), 'a passphrase of the test\n');
  await home.ask('create', 'configmap', 'backed-up');
  expect(succeeded(await home.k8sk8s('backup', 'create', 'with-logs', ...passphrase)).stderr).toMatch(
    /logs .*not in it/,
  );
  succeeded(await home.k8sk8s('destroy', '--yes'));
  expect(succeeded(await home.infra('get', 'pvc,secrets', '-o', 'name')).stdout).not.toContain('log-store');

  succeeded(await asInfraAdmin('delete', ...account));
  const restored = succeeded(await home.k8sk8s('restore', 'with-logs', ...passphrase));
  expect(restored.stderr).toContain('k8sk8s-logs');
  expect(await home.ask('get', 'configmap', 'backed-up', '-o', 'name')).toBe('configmap/backed-up');
  expect((await logs.statusNow()).findings.map(({ anchor }) => anchor)).toContain('log-store-not-ready');
  expect(await home.k8sk8s('logs', 'query', 'errors')).toEqual(refused('log-store-unreachable'));

  succeeded(await asInfraAdmin('apply', '-f', path.join(home.cwd, 'rights.yaml')));
  // The ReplicaSet asks for its pod at ever longer intervals; a new one asks at once.
  succeeded(await home.infra('delete', 'deployment', 'log-store'));
  succeeded(await home.k8sk8s('deploy'));
  await logs.finding();
  expect(await logs.ask('who deleted default/gone')).toEqual([]);
  await home.ask('create', 'configmap', 'after');
  await eventually(60, async () => expect(await logs.ask('who changed default/after')).not.toEqual([]));
}
