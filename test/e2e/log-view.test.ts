import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureImages } from '../../src/sandbox/artifacts/ensure.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { componentsThatLogJson, eachQuestion, etcdThatWaits, inThePage, leadersThatChange } from './log-questions.ts';
import { restoredAsElsewhere } from './log-restore.ts';
import { linesThatAreLost, storeThatIsKilled, storeThatStandsStill, volumeFullOrReadOnly } from './log-store-faults.ts';
import { LogWorld } from './log-world.ts';
import {
  asInfraAdmin,
  eventually,
  giveInfraNodes,
  k8sk8sAsInfraAdmin,
  Namespace,
  sandboxCommand,
  succeeded,
  uidsOf,
} from './world.ts';

// A plane keeps its logs: the rights that it needs, the saved questions, and what becomes of lines while the store is away. The image of
// VictoriaLogs is built once, in half a minute, so it runs with `npm run test:all`, or alone by K8SK8S_TEST=log-view. The tests follow each
// other.

const host = 'log-view.e2e.test';
const runs = runsAllOf('e2e/log-view');

describe.runIf(runs)('the log view', () => {
  let home: Namespace;
  let logs: LogWorld;

  beforeAll(async () => {
    await giveInfraNodes(await ensureImages('logs', {}, terminalReporter()));
    home = await Namespace.open('log-view');
    logs = new LogWorld(home);
    succeeded(await sandboxCommand(['host', host], home));
  });

  afterAll(async () => {
    await home.k8sk8s('destroy', '--yes');
    await asInfraAdmin('-n', home.name, 'delete', 'serviceaccount,role,rolebinding', 'k8sk8s-logs');
  });

  test('without the account that the administrator makes it is refused before anything is made, with the rule to ask for', async () => {
    const answer = await home.k8sk8s('deploy', '-h', host, '--profile', 'lite', '--etcd-storage', '1Gi', '--logs');
    expect(answer).toEqual(refused('log-account', 'k8sk8s-logs'));
    expect(succeeded(await home.infra('get', 'deployments', '-o', 'name')).stdout).toBe('');
  });

  test('with it a plane keeps its logs, and no pod of the plane is another one than without', async () => {
    succeeded(await home.k8sk8s('deploy', '-h', host, '--profile', 'lite', '--etcd-storage', '1Gi'));
    const pods = async () => uidsOf(await home.pods());
    const before = await pods();
    const rights = succeeded(await k8sk8sAsInfraAdmin('logs', 'enable', '--rights', '-n', home.name)).stdout;
    const file = path.join(home.cwd, 'rights.yaml');
    writeFileSync(file, rights);
    succeeded(await asInfraAdmin('apply', '-f', file));
    succeeded(await home.k8sk8s('logs', 'enable'));
    expect(await pods()).toEqual(expect.arrayContaining(before));
    expect((await home.k8sk8s('diff')).code).toBe(0);
    expect((await home.k8sk8s('status')).code).toBe(0);
  });

  test('who deleted it: the audit event of a deleted object is found by its question', async () => {
    await home.ask('create', 'configmap', 'gone');
    await home.ask('delete', 'configmap', 'gone');
    const found = await eventually(60, async () => {
      const lines = await logs.ask('who deleted default/gone');
      expect(lines.length).toBeGreaterThan(0);
      return lines;
    });
    expect(found[0]).toMatchObject({
      verb: 'delete',
      resource: 'configmaps',
      name: 'gone',
      code: '200',
      component: 'kube-apiserver',
    });
    const { stdout } = succeeded(await home.k8sk8s('logs', 'query', 'who', 'deleted', 'default/gone'));
    expect(stdout).toMatch(/^TIME +USER +VERB/);
    expect(succeeded(await home.k8sk8s('logs', '--audit', '--since', '5m')).stdout).toContain('"gone"');
  });

  test('in the page: the link of the question shows the event', () => inThePage(logs));

  test('every component is there, with what it said before it was asked to be kept', async () => {
    await eventually(60, async () => {
      const lines = await logs.ask('--logsql', '* | stats by (component, container) count() as lines');
      expect([...new Set(lines.map(({ container }) => container))].sort()).toEqual(
        expect.arrayContaining([
          'etcd',
          'kube-apiserver',
          'kube-apiserver-egress',
          'kube-controller-manager',
          'kube-scheduler',
        ]),
      );
    });
    for (const question of ['leader changes', 'errors', 'which client floods', 'what is slow', 'who was refused'])
      succeeded(await home.k8sk8s('logs', 'query', question));
  });

  test('nobody on the network reaches the store, and its page wants the password', async () => {
    const ip = succeeded(
      await home.infra('get', 'pod', await logs.storePod(), '-o', 'jsonpath={.status.podIP}'),
    ).stdout;
    const dial = `require('net').connect(9428,'${ip}').on('connect',()=>{console.log('reached');process.exit(1)}).on('error',()=>process.exit(0))`;
    const other = succeeded(
      await home.infra('get', 'pods', '-l', 'app.kubernetes.io/name=kube-apiserver', '-o', 'name'),
    ).stdout.trim();
    succeeded(await home.infra('exec', other, '-c', 'kube-apiserver-egress', '--', 'node', '-e', dial));
  });

  test('while the store is killed again and again nothing of the plane notices, and no line is lost', () =>
    storeThatIsKilled(logs));

  test('while the store stands still nothing of the plane notices, status says it, and no line is lost', () =>
    storeThatStandsStill(logs));

  test(
    'a volume that is full or read-only is said by status, nothing of the plane notices, and no line is lost',
    () => volumeFullOrReadOnly(logs),
    900_000,
  );

  test('each question finds what it is about', () => eachQuestion(logs));

  test('an etcd that waits is found, and the requests that waited for it', () => etcdThatWaits(logs), 240_000);

  test(
    'where there are two of each, a change of leader is found, with the pod that leads',
    () => leadersThatChange(logs),
    300_000,
  );

  test('what is lost is counted by status, and told by its question', () => linesThatAreLost(logs));

  test('components that log JSON are searched by the same fields', () => componentsThatLogJson(logs));

  test('asleep and awake again: the lines of before are there', async () => {
    succeeded(await home.k8sk8s('sleep'));
    expect(await logs.storePod()).toBe('');
    expect(await home.k8sk8s('logs', 'query', 'errors')).toEqual(refused('log-store-unreachable'));
    succeeded(await home.k8sk8s('wake'));
    await eventually(90, async () => expect((await logs.ask('who deleted default/gone')).length).toBe(1));
  });

  test(
    'a plane that is restored keeps its logs anew, and is restored in any case',
    () => restoredAsElsewhere(logs),
    400_000,
  );

  test('disabled, its objects go, and the volume with the logs stays until the plane goes', async () => {
    succeeded(await home.k8sk8s('logs', 'disable'));
    expect(
      succeeded(await home.infra('get', 'deployments,networkpolicies,secrets', '-o', 'name')).stdout,
    ).not.toContain('log-store');
    expect(succeeded(await home.infra('get', 'pvc', '-o', 'name')).stdout).toContain('log-store');
    expect(await home.k8sk8s('logs', 'query', 'errors')).toEqual(refused('no-logs'));
    succeeded(await home.k8sk8s('destroy', '--yes'));
    await eventually(30, async () =>
      expect(succeeded(await home.infra('get', 'pvc', '-o', 'name')).stdout).not.toContain('log-store'),
    );
  });
});
