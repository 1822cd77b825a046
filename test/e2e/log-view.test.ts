import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureImages } from '../../src/sandbox/artifacts/ensure.ts';
import { ensurePackages } from '../../src/sandbox/artifacts/packages.ts';
import { findProgram } from '../../src/sandbox/artifacts/programs.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
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

  beforeAll(async () => {
    await giveInfraNodes(await ensureImages('logs', {}, terminalReporter()));
    home = await Namespace.open('log-view');
    succeeded(await sandboxCommand(['host', host], home));
  });

  afterAll(async () => {
    await home.k8sk8s('destroy', '--yes');
  });

  /** Lines of a question, as JSON. */
  async function ask(...words: string[]): Promise<Record<string, string>[]> {
    const { stdout } = succeeded(await home.k8sk8s('logs', 'query', ...words, '--output', 'json'));
    return JSON.parse(stdout) as Record<string, string>[];
  }

  async function storePod(): Promise<string> {
    const { stdout } = succeeded(
      await home.infra(
        'get',
        'pods',
        '-l',
        'app.kubernetes.io/name=log-store',
        '-o',
        'jsonpath={.items[*].metadata.name}',
      ),
    );
    return stdout.trim();
  }

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
      const lines = await ask('who deleted default/gone');
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

  test('in the page: the link of the question shows the event', async () => {
    await ensurePackages(terminalReporter(), [{ name: 'chromium', proof: 'chromium' }]);
    const opened = home.started('logs', 'open', 'who deleted default/gone');
    const browser = await chromium.launch({ executablePath: await findProgram('chromium'), args: ['--no-sandbox'] });
    try {
      const [, address] = await opened.said(/(http:\/\/127\.0\.0\.1:\d+)\/select\/vmui\//);
      const [, username, password] = await opened.said(/user (\S+), password (\S+)/);
      expect((await fetch(`${address}/select/vmui/`)).status).toBe(401);
      const context = await browser.newContext({
        httpCredentials: { username: username!, password: password! },
        viewport: { width: 1280, height: 900 },
      });
      const page = await context.newPage();
      const [link] = await opened.said(/^http.*query=.*$/m);
      await page.goto(link);
      await page.getByText('delete configmaps default/gone: 200').first().waitFor({ timeout: 60_000 });
      if (process.env.K8SK8S_PICTURES)
        await page.screenshot({ path: `${process.env.K8SK8S_PICTURES}/who-deleted.png` });
      await page.goto(`${address}/select/vmui/`);
      await page.waitForTimeout(3000);
      if (process.env.K8SK8S_PICTURES) await page.screenshot({ path: `${process.env.K8SK8S_PICTURES}/all.png` });
    } finally {
      await browser.close();
      opened.end();
    }
  });

  test('every component is there, with what it said before it was asked to be kept', async () => {
    await eventually(60, async () => {
      const lines = await ask('--logsql', '* | stats by (component, container) count() as lines');
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
    const ip = succeeded(await home.infra('get', 'pod', await storePod(), '-o', 'jsonpath={.status.podIP}')).stdout;
    const dial = `require('net').connect(9428,'${ip}').on('connect',()=>{console.log('reached');process.exit(1)}).on('error',()=>process.exit(0))`;
    const other = succeeded(
      await home.infra('get', 'pods', '-l', 'app.kubernetes.io/name=kube-apiserver', '-o', 'name'),
    ).stdout.trim();
    succeeded(await home.infra('exec', other, '-c', 'kube-apiserver-egress', '--', 'node', '-e', dial));
  });

  test('while the store is killed again and again nothing of the plane notices, and no line is lost', async () => {
    const restarts = async () =>
      succeeded(
        await home.infra(
          'get',
          'pods',
          '-o',
          'jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[*].restartCount}{"\\n"}{end}',
        ),
      ).stdout;
    const before = (await restarts()).split('\n').filter((line) => !line.startsWith('log-store'));
    const slowest: number[] = [];
    for (let n = 0; n < 30; n++) {
      if (n % 10 === 5)
        succeeded(await home.infra('delete', 'pod', await storePod(), '--grace-period=0', '--force', '--wait=false'));
      const began = performance.now();
      await home.ask('create', 'configmap', `kept-${n}`);
      slowest.push(performance.now() - began);
    }
    console.log(`30 requests by kubectl, the slowest in ${Math.round(Math.max(...slowest))} ms`);
    await eventually(120, async () => {
      const lines = await ask(
        '--logsql',
        'type:=audit verb:=create resource:=configmaps name:~"^kept-" | stats by (name) count() as n',
        '--limit',
        '100',
      );
      expect(lines.length).toBe(30);
      expect(lines.filter(({ n }) => n !== '1')).toEqual([]);
    });
    expect((await restarts()).split('\n').filter((line) => !line.startsWith('log-store'))).toEqual(before);
  });

  test('asleep and awake again: the lines of before are there', async () => {
    succeeded(await home.k8sk8s('sleep'));
    expect(await storePod()).toBe('');
    expect(await home.k8sk8s('logs', 'query', 'errors')).toEqual(refused('log-store-unreachable'));
    succeeded(await home.k8sk8s('wake'));
    await eventually(90, async () => expect((await ask('who deleted default/gone')).length).toBe(1));
  });

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
