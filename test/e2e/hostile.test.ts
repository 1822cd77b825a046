import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Anchor } from '../../src/base/anchors.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { everythingBy, forgotten, policyOnEverything, webhookOnEverything } from './rules-on-everything.ts';
import { Tenant } from './tenant.ts';
import { changedNothing, Namespace, sandboxCommand, succeeded } from './world.ts';

// What a tenant's own rule about everything does to each command of the operator: the command does its work, or says what is in the
// way and how it is removed, and none waits without end. Runs with `npm run test:all`, or alone by K8SK8S_TEST=attacks.

const runs = runsAllOf('e2e/hostile');
const rules: [string, string][] = [
  ['a webhook that cannot be called', webhookOnEverything('https://10.0.0.1/', 1)],
  ['a policy that denies', policyOnEverything('no')],
];

/** In the order in which they follow each other; with the anchor of the refusal where a rule is in the way. */
const commands: [string[], Anchor?][] = [
  [['certs', 'renew']],
  [['certs', 'rotate-service-account-key', '--drop-now']],
  [['encrypt', 'rotate'], 'secrets-not-rewritten'],
  [['backup', 'create', 'hostile.backup', '--plaintext']],
  [['etcd', 'defrag']],
  [['token', 'create'], 'hosted-refused'],
  [['user', 'create', 'anna', '--cluster-role', 'view'], 'hosted-refused'],
  [['sleep']],
  [['wake']],
  [['restore', 'hostile.backup', '--replace', '--safety-backup', 'safety.backup'], 'child-asset-refused'],
];

describe.runIf(runs).each(rules)('T6: %s, on everything', (_, manifest) => {
  let home: Namespace;
  const seen: string[] = [];

  beforeAll(async () => {
    home = await Namespace.open('hostile');
    succeeded(await sandboxCommand(['host', 'hostile.e2e.test'], home));
    succeeded(await home.k8sk8s('deploy', '-h', 'hostile.e2e.test', '--etcd-storage', '1Gi'));
    await everythingBy(home, manifest);
  });

  afterAll(async () => {
    console.log(seen.join('\n'));
    await home.k8sk8s('destroy', '--yes');
  });

  test.each(commands)('T6: %j does its work, or names what is in the way', async (command, anchor) => {
    const began = performance.now();
    const answer = await home.k8sk8s(...command);
    seen.push(`${command.join(' ')} -> ${answer.code} after ${((performance.now() - began) / 1000).toFixed(1)} s`);
    if (anchor === undefined) succeeded(answer);
    else expect(answer).toEqual(refused(anchor, 'everything', 'delete'));
    // A plane with data is never to be destroyed.
    expect(answer.stderr).not.toContain('To undo');
  });

  test('T6: when the rule is gone, deploy brings back what was missing', async () => {
    const kinds = 'validatingwebhookconfiguration,validatingadmissionpolicybinding';
    await home.ask('delete', kinds, 'everything', '--ignore-not-found');
    await forgotten(home);
    succeeded(await home.k8sk8s('encrypt', 'rotate'));
    succeeded(await home.k8sk8s('deploy'));
    changedNothing(await home.k8sk8s('deploy'));
    succeeded(await home.k8sk8s('diff'));
    succeeded(await home.k8sk8s('status'));
  });
});

describe.runIf(runs)('a log without end', () => {
  let home: Namespace;
  let tenant: Tenant;

  beforeAll(async () => {
    home = await Namespace.open('hostile-logs');
    succeeded(await sandboxCommand(['host', 'hostile-logs.e2e.test'], home));
    succeeded(await home.k8sk8s('deploy', '-h', 'hostile-logs.e2e.test', '--profile', 'lite', '--etcd-storage', '1Gi'));
    tenant = new Tenant(home);
  });

  afterAll(async () => {
    tenant?.close();
    await home.k8sk8s('destroy', '--yes');
  });

  test("T5: requests with long paths fill the API server's log; logs and status stay short", async () => {
    const path = `/api/v1/namespaces/kube-system/secrets?labelSelector=a%3D${'x'.repeat(50_000)}`;
    const until = Date.now() + 20_000;
    let asked = 0;
    const flood = async () => {
      for (; Date.now() < until; asked++) await tenant.ask('GET', path);
    };
    await Promise.all(Array.from({ length: 8 }, flood));
    for (const command of [['status'], ['logs', 'kube-apiserver'], ['logs', 'kube-apiserver', '--audit'], ['logs']]) {
      const began = performance.now();
      const { stdout, stderr } = await home.k8sk8s(...command);
      const took = (performance.now() - began) / 1000;
      console.log(`${asked} requests, ${command.join(' ')}: ${took.toFixed(1)} s, ${stdout.length} characters`);
      expect(stdout.length + stderr.length, command.join(' ')).toBeLessThan(32 << 20);
    }
  });
});
