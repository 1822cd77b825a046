import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureBinaries } from '../../src/sandbox/artifacts/ensure.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { eventually, Namespace, run, sandboxCommand, succeeded } from './world.ts';

// The second minor version builds for ten minutes from nothing, so this runs with `npm run test:all` and is counted as
// skipped otherwise.

const older = '1.36.3';

describe.runIf(runsAllOf('e2e/older-minor'))(`a plane at ${older} beside one at the newest version`, () => {
  let home: Namespace;
  let kubectl: string;
  beforeAll(async () => {
    ({ kubectl } = await ensureBinaries(['kubectl'], { kubernetesVersion: older }, terminalReporter()));
    home = await Namespace.open('older');
    succeeded(await sandboxCommand(['host', 'older.e2e.test'], home));
    succeeded(await home.k8sk8s('deploy', '-h', 'older.e2e.test', '--kubernetes-version', '1.36'));
  });
  afterAll(async () => {
    await home.k8sk8s('destroy', '--yes');
  });

  test('serves the version that was asked for, and the previous kubectl works', async () => {
    const outcome = succeeded(
      await run(kubectl, ['--kubeconfig=tls/kubeconfig', 'version'], { env: home.env, cwd: home.cwd }),
    );
    expect(outcome.stdout).toContain(`Server Version: v${older}`);
    expect(outcome.stdout).toContain(`Client Version: v${older}`);
  });

  test("the previous minor's kubectl works with a plane of the newest", async () => {
    const home = await Namespace.open('newest');
    succeeded(await sandboxCommand(['host', 'newest.e2e.test'], home));
    succeeded(await home.k8sk8s('deploy', '-h', 'newest.e2e.test'));
    const ask = async (...args: string[]) =>
      succeeded(await run(kubectl, ['--kubeconfig=tls/kubeconfig', ...args], { env: home.env, cwd: home.cwd })).stdout;
    expect(await ask('create', 'configmap', 'old-hand', '--from-literal=a=b')).toContain('created');
    expect(await ask('get', 'configmap', 'old-hand', '-o', 'jsonpath={.data.a}')).toBe('b');
    expect(await ask('get', 'deployments', '-A')).toContain('kube-dns');
    succeeded(await home.k8sk8s('destroy', '--yes'));
  });

  test('goes up to the newest minor with its data, and not back', async () => {
    await home.ask('create', 'configmap', 'kept', '--from-literal=a=b');
    succeeded(await home.k8sk8s('deploy', '--kubernetes-version', '1.37'));
    await eventually(30, async () =>
      expect(await home.ask('get', 'configmap', 'kept', '-o', 'jsonpath={.data.a}')).toBe('b'),
    );
    const back = await home.k8sk8s('deploy', '--kubernetes-version', '1.36');
    expect(back.code).toBe(2);
    expect(back).toEqual(refused('immutable', '1.37.2', '1.36.3'));
  });
});
