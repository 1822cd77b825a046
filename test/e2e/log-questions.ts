import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { expect } from 'vitest';
import { createAuthority, issueLeaf } from '../../src/pki/issue.ts';
import { ensurePackages } from '../../src/sandbox/artifacts/packages.ts';
import { findProgram } from '../../src/sandbox/artifacts/programs.ts';
import { terminalReporter } from '../../src/ui/terminal.ts';
import { processInPod } from '../kill-in-pod.ts';
import type { LogWorld } from './log-world.ts';
import { eventually, succeeded } from './world.ts';

// What the saved questions find, and the page; tests of log-view.test.ts.

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

/** A client whose certificate is of another authority. */
async function eve({ home }: LogWorld): Promise<void> {
  const { stderr } = await home.hosted(['--client-certificate=eve.pem', '--client-key=eve.key', 'get', 'namespaces']);
  expect(stderr).toContain('Unauthorized');
}

export async function inThePage(logs: LogWorld): Promise<void> {
  await ensurePackages(terminalReporter(), [{ name: 'chromium', proof: 'chromium' }]);
  const opened = logs.home.started('logs', 'open', 'who deleted default/gone');
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
    if (process.env.K8SK8S_PICTURES) await page.screenshot({ path: `${process.env.K8SK8S_PICTURES}/who-deleted.png` });
    await page.goto(`${address}/select/vmui/`);
    await page.waitForTimeout(3000);
    if (process.env.K8SK8S_PICTURES) await page.screenshot({ path: `${process.env.K8SK8S_PICTURES}/all.png` });
  } finally {
    await browser.close();
    opened.end();
  }
}

export async function eachQuestion(logs: LogWorld): Promise<void> {
  await logs.home.apply(webhookAway);
  const judged =
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: judged-, namespace: default, labels: {judged: "yes"}}\n';
  await eventually(30, async () => {
    const { code, stderr } = await logs.home.hosted(['create', '-f', '-'], judged);
    expect([code, stderr]).toEqual([1, expect.stringContaining('away.e2e.test')]);
  });
  succeeded(await logs.home.hosted(['delete', 'validatingwebhookconfiguration', 'away']));
  expect((await logs.home.hosted(['--as=anna', 'get', 'secrets'])).stderr).toContain('Forbidden');
  const { certificate, key } = await issueLeaf(await createAuthority('of somebody else'), {
    commonName: 'eve',
    usages: ['clientAuth'],
  });
  writeFileSync(path.join(logs.home.cwd, 'eve.pem'), certificate);
  writeFileSync(path.join(logs.home.cwd, 'eve.key'), key);
  await eve(logs);

  expect(await logs.found('who changed', 'default/slow-3')).toMatchObject([
    { verb: 'create', name: 'slow-3', code: '201' },
  ]);
  expect((await logs.found('who was refused anna'))[0]).toMatchObject({ code: '403', impersonatedUser: 'anna' });
  expect((await logs.found('which webhook fails'))[0]!._msg).toContain('away.e2e.test');
  expect((await logs.found('which client floods'))[0]).toMatchObject({
    user: expect.anything(),
    requests: expect.stringMatching(/^\d+$/),
  });
  expect((await logs.found('errors', '--limit', '1000')).map(({ code }) => code)).toContain('500');
  expect((await logs.found('certificate errors')).map(({ component }) => component)).toContain('kube-apiserver');
  // One controller-manager and one scheduler elect nobody.
  expect((await logs.found('leader changes')).map(({ component }) => component)).toContain('etcd');
}

export async function etcdThatWaits(logs: LogWorld): Promise<void> {
  const [etcd] = await logs.home.podsOf('etcd');
  const pid = processInPod(etcd!.metadata.uid, /etcd/)!;
  await eventually(150, async () => {
    const round = Date.now();
    const list = Array.from(
      { length: 60 },
      (_, n) => `apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: burst-${round}-${n}-, namespace: default}\n`,
    ).join('---\n');
    const writers = Promise.all(Array.from({ length: 3 }, () => logs.home.hosted(['create', '-f', '-'], list)));
    // As a volume does that hangs: writes that are under way take this long.
    for (let n = 0; n < 3; n++) {
      await sleep(400);
      process.kill(pid, 'SIGSTOP');
      await sleep(1300);
      process.kill(pid, 'SIGCONT');
    }
    await writers;
    await sleep(2000);
    expect(await logs.ask('etcd slow disk')).not.toEqual([]);
  });
  const slow = await logs.found('what is slow');
  expect(slow.every(({ durationMs }) => Number(durationMs) >= 1000)).toBe(true);
  expect((await logs.found('what is slow 1')).length).toBeGreaterThanOrEqual(slow.length);
}

export async function componentsThatLogJson(logs: LogWorld): Promise<void> {
  const json = ['--api-server-arg', 'logging-format=json', '--controller-manager-arg', 'logging-format=json'];
  succeeded(await logs.home.k8sk8s('deploy', ...json));
  // klog names the file alone, JSON its folder too.
  for (const component of ['kube-apiserver', 'kube-controller-manager'])
    await logs.found('--logsql', `component:=${component} type:=log source:~"/.*[.]go:" level:=info`);
  expect(await logs.ask('--logsql', '_msg:~"^.\\"ts\\":"')).toEqual([]);
  await eve(logs);
  await eventually(60, async () =>
    expect((await logs.ask('certificate errors')).filter(({ source }) => source?.includes('/'))).not.toEqual([]),
  );
  await logs.home.ask('create', 'configmap', 'of-json');
  await logs.found('who changed default/of-json');
}

/** Two of each: one leads, and when it ends, the other one does. */
export async function leadersThatChange(logs: LogWorld): Promise<void> {
  succeeded(await logs.home.k8sk8s('deploy', '--replicas', '2'));
  const names = ['kube-controller-manager', 'kube-scheduler'];
  const leaders = async () => {
    const lines = await logs.ask('leader changes', '--limit', '1000');
    return names.map((name) => new Set(lines.filter(({ component }) => component === name).map(({ pod }) => pod)));
  };
  await eventually(90, async () => expect((await leaders()).map(({ size }) => size)).toEqual([1, 1]));
  const [first] = await leaders();
  succeeded(await logs.home.infra('delete', 'pod', [...first!][0]!, '--wait=true'));
  await eventually(120, async () => expect((await leaders())[0]!.size).toBe(2));
  succeeded(await logs.home.k8sk8s('deploy', '--replicas', '1'));
}
