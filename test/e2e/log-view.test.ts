import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Anchor } from '../../src/base/anchors.ts';
import { createAuthority, issueLeaf } from '../../src/pki/issue.ts';
import { ensureImages } from '../../src/sandbox/artifacts/ensure.ts';
import { ensurePackages } from '../../src/sandbox/artifacts/packages.ts';
import { findProgram } from '../../src/sandbox/artifacts/programs.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { processInPod } from '../kill-in-pod.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { SmallVolume } from './small-volume.ts';
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

/** The gate leads nobody to loopback. */
const webhookAway = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: away}
webhooks:
  - name: away.e2e.test
    clientConfig: {url: "https://127.0.0.1:9/"}
    rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
    objectSelector: {matchLabels: {judged: "yes"}}
    failurePolicy: Fail
    sideEffects: None
    timeoutSeconds: 2
    admissionReviewVersions: [v1]
`;

describe.runIf(runs)('the log view', () => {
  let home: Namespace;

  beforeAll(async () => {
    await giveInfraNodes(await ensureImages('logs', {}, terminalReporter()));
    home = await Namespace.open('log-view');
    succeeded(await sandboxCommand(['host', host], home));
  });

  afterAll(async () => {
    await home.k8sk8s('destroy', '--yes');
    await asInfraAdmin('-n', home.name, 'delete', 'serviceaccount,role,rolebinding', 'k8sk8s-logs');
  });

  /** Lines of a question, as JSON. */
  async function ask(...words: string[]): Promise<Record<string, string>[]> {
    const { stdout } = succeeded(await home.k8sk8s('logs', 'query', ...words, '--output', 'json'));
    return JSON.parse(stdout) as Record<string, string>[];
  }

  /** The same once there are some. */
  function found(...words: string[]): Promise<Record<string, string>[]> {
    return eventually(60, async () => {
      const lines = await ask(...words);
      expect(lines, words.join(' ')).not.toEqual([]);
      return lines;
    });
  }

  /** Makes objects, one after the other. @returns milliseconds of the slowest request */
  async function make(name: string, count: number): Promise<number> {
    let slowest = 0;
    for (let n = 0; n < count; n++) {
      const began = performance.now();
      await home.ask('create', 'configmap', `${name}-${n}`);
      slowest = Math.max(slowest, performance.now() - began);
    }
    return Math.round(slowest);
  }

  /** The events of all that `make` made are there, each once. */
  function eachOnce(name: string, count: number): Promise<void> {
    const query = `type:=audit verb:=create resource:=configmaps name:~"^${name}-" | stats by (name) count() as n`;
    return eventually(120, async () => {
      const lines = await ask('--logsql', query, '--limit', '100');
      expect(lines.length).toBe(count);
      expect(lines.filter(({ n }) => n !== '1')).toEqual([]);
    });
  }

  async function statusNow() {
    const { stdout, stderr } = await home.k8sk8s('status', '--output', 'json');
    expect(stdout, stderr).not.toBe('');
    return JSON.parse(stdout) as { findings: { anchor: Anchor }[]; logs?: { report?: { losses: number } } };
  }

  /** `status` has this to say, and nothing else. */
  function finding(...anchors: Anchor[]): Promise<void> {
    return eventually(150, async () =>
      expect((await statusNow()).findings.map(({ anchor }) => anchor)).toEqual(anchors),
    );
  }

  /** Of all pods but the store's. */
  async function restarts(): Promise<string[]> {
    const line = '{range .items[*]}{.metadata.name} {.status.containerStatuses[*].restartCount}{"\\n"}{end}';
    const { stdout } = succeeded(await home.infra('get', 'pods', '-o', `jsonpath=${line}`));
    return stdout.split('\n').filter((each) => !each.startsWith('log-store'));
  }

  async function storeOff(): Promise<void> {
    await scaleStore(0);
    await eventually(60, async () => expect(await storePod()).toBe(''));
  }

  async function scaleStore(replicas: number): Promise<void> {
    const patch = JSON.stringify({ spec: { replicas } });
    succeeded(await home.infra('patch', 'deployment', 'log-store', '--type=merge', '-p', patch));
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
    const before = await restarts();
    const slowest: number[] = [];
    for (let n = 0; n < 3; n++) {
      slowest.push(await make(`kept-${n}`, 10));
      succeeded(await home.infra('delete', 'pod', await storePod(), '--grace-period=0', '--force', '--wait=false'));
    }
    console.log(`30 requests by kubectl, the slowest in ${Math.max(...slowest)} ms`);
    await eachOnce('kept', 30);
    expect(await restarts()).toEqual(before);
  });

  test('while the store stands still nothing of the plane notices, status says it, and no line is lost', async () => {
    await finding();
    const before = await restarts();
    const [store] = await home.podsOf('log-store');
    const pid = processInPod(store!.metadata.uid, /victoria-logs/)!;
    process.kill(pid, 'SIGSTOP');
    try {
      console.log(`20 requests by kubectl, the slowest in ${await make('slow', 20)} ms`);
      await finding('log-store-not-ready');
      expect(succeeded(await home.k8sk8s('logs', '--audit', '--since', '5m')).stdout).toContain('"slow-19"');
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await eachOnce('slow', 20);
    await finding();
    expect(await restarts()).toEqual(before);
  });

  test('a volume that is full or read-only is said by status, nothing of the plane notices, and no line is lost', async () => {
    const before = await restarts();
    await storeOff();
    const volume = await SmallVolume.ofClaim(home, 'log-store', 64);
    try {
      await scaleStore(1);
      await finding();
      await found('who deleted default/gone');
      // With less than 10 MB the store takes no more, and still answers.
      await volume.fill(5_000_000);
      console.log(`full: 20 requests by kubectl, the slowest in ${await make('full', 20)} ms`);
      await finding('log-store-full');
      expect(await ask('who deleted default/gone')).toHaveLength(1);
      expect(succeeded(await home.k8sk8s('logs', '--audit', '--since', '5m')).stdout).toContain('"full-19"');
      expect(succeeded(await home.k8sk8s('logs', 'kube-scheduler', '--tail', '5')).stdout).not.toBe('');
      // Started where nothing at all can be written.
      await storeOff();
      await volume.fill(0);
      await scaleStore(1);
      await make('fuller', 5);
      await finding('log-store-full');
      await storeOff();
      await volume.free();
      await volume.allow('ro');
      await scaleStore(1);
      console.log(`read-only: 20 requests by kubectl, the slowest in ${await make('fixed', 20)} ms`);
      await finding('log-store-not-ready');
      await storeOff();
      await volume.allow('rw');
      await scaleStore(1);
      for (const [name, count] of [
        ['full', 20],
        ['fuller', 5],
        ['fixed', 20],
      ] as const)
        await eachOnce(name, count);
      await finding();
    } finally {
      await storeOff();
      await volume.takeBack();
      await scaleStore(1);
    }
    await eachOnce('fixed', 20);
    expect(await restarts()).toEqual(before);
  }, 900_000);

  /** A client whose certificate is of another authority. */
  const eve = async () => {
    const { stderr } = await home.hosted(['--client-certificate=eve.pem', '--client-key=eve.key', 'get', 'namespaces']);
    expect(stderr).toContain('Unauthorized');
  };

  test('each question finds what it is about', async () => {
    await home.apply(webhookAway);
    const judged =
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: judged-, namespace: default, labels: {judged: "yes"}}\n';
    await eventually(30, async () => {
      const { code, stderr } = await home.hosted(['create', '-f', '-'], judged);
      expect([code, stderr]).toEqual([1, expect.stringContaining('away.e2e.test')]);
    });
    succeeded(await home.hosted(['delete', 'validatingwebhookconfiguration', 'away']));
    expect((await home.hosted(['--as=anna', 'get', 'secrets'])).stderr).toContain('Forbidden');
    const { certificate, key } = await issueLeaf(await createAuthority('of somebody else'), {
      commonName: 'eve',
      usages: ['clientAuth'],
    });
    writeFileSync(path.join(home.cwd, 'eve.pem'), certificate);
    writeFileSync(path.join(home.cwd, 'eve.key'), key);
    await eve();

    expect(await found('who changed', 'default/slow-3')).toMatchObject([
      { verb: 'create', name: 'slow-3', code: '201' },
    ]);
    expect((await found('who was refused anna'))[0]).toMatchObject({ code: '403', impersonatedUser: 'anna' });
    expect((await found('which webhook fails'))[0]!._msg).toContain('away.e2e.test');
    expect((await found('which client floods'))[0]).toMatchObject({
      user: expect.anything(),
      requests: expect.stringMatching(/^\d+$/),
    });
    expect((await found('errors', '--limit', '1000')).map(({ code }) => code)).toContain('500');
    expect((await found('certificate errors')).map(({ component }) => component)).toContain('kube-apiserver');
    // One controller-manager and one scheduler elect nobody.
    expect((await found('leader changes')).map(({ component }) => component)).toContain('etcd');
  });

  test('an etcd that waits is found, and the requests that waited for it', async () => {
    const [etcd] = await home.podsOf('etcd');
    const pid = processInPod(etcd!.metadata.uid, /etcd/)!;
    await eventually(150, async () => {
      const round = Date.now();
      const list = Array.from(
        { length: 60 },
        (_, n) =>
          `apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: burst-${round}-${n}-, namespace: default}\n`,
      ).join('---\n');
      const writers = Promise.all(Array.from({ length: 3 }, () => home.hosted(['create', '-f', '-'], list)));
      // As a volume does that hangs: writes that are under way take this long.
      for (let n = 0; n < 3; n++) {
        await sleep(400);
        process.kill(pid, 'SIGSTOP');
        await sleep(1300);
        process.kill(pid, 'SIGCONT');
      }
      await writers;
      await sleep(2000);
      expect(await ask('etcd slow disk')).not.toEqual([]);
    });
    const slow = await found('what is slow');
    expect(slow.every(({ durationMs }) => Number(durationMs) >= 1000)).toBe(true);
    expect((await found('what is slow 1')).length).toBeGreaterThanOrEqual(slow.length);
  }, 240_000);

  test('what is lost is counted by status, and told by its question', async () => {
    await storeOff();
    succeeded(await home.infra('delete', 'pod', '-l', 'app.kubernetes.io/name=kube-scheduler', '--wait=true'));
    await scaleStore(1);
    const lines = await found('what is missing');
    expect(lines.map(({ _msg }) => _msg).join()).toContain('kube-scheduler');
    expect((await statusNow()).logs?.report?.losses).toBeGreaterThan(0);
    await finding();
  });

  test('components that log JSON are searched by the same fields', async () => {
    const json = ['--api-server-arg', 'logging-format=json', '--controller-manager-arg', 'logging-format=json'];
    succeeded(await home.k8sk8s('deploy', ...json));
    // klog names the file alone, JSON its folder too.
    for (const component of ['kube-apiserver', 'kube-controller-manager'])
      await found('--logsql', `component:=${component} type:=log source:~"/.*[.]go:" level:=info`);
    expect(await ask('--logsql', '_msg:~"^.\\"ts\\":"')).toEqual([]);
    await eve();
    await eventually(60, async () =>
      expect((await ask('certificate errors')).filter(({ source }) => source?.includes('/'))).not.toEqual([]),
    );
    await home.ask('create', 'configmap', 'of-json');
    await found('who changed default/of-json');
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
