import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requireState } from '../../src/sandbox/state.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { closePlanes, openPlanes, seen, tellSeen } from './attacks-world.ts';
import type { Neighbour } from './neighbour.ts';
import { everythingBy, forgotten, webhookOnEverything } from './rules-on-everything.ts';
import { Tenant } from './tenant.ts';
import { changedNothing, eventually, type Namespace, sandboxCommand, succeeded } from './world.ts';

/*
 * What the administrator of a hosted cluster tries that takes minutes, or needs a worker: floods, a full etcd, APIs and rules that keep an
 * API server from starting. With `npm run test:all`, or by K8SK8S_TEST=attacks alone.
 */

let home: Namespace;
let other: Namespace;
let neighbour: Neighbour;
let tenant: Tenant;

describe.runIf(runsAllOf('e2e/attacks-long'))('that takes longer', () => {
  beforeAll(async () => {
    ({ home, other, neighbour, tenant } = await openPlanes('attacks-long'));
  });

  afterAll(async () => {
    await sandboxCommand(['join', '--leave', '-n', home.name], home);
    await closePlanes({ home, other, neighbour, tenant });
    tellSeen();
  });

  test('certs rotate-ca asks the kubelets of workers, and nobody else that a Node names', async () => {
    succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
    const { name: worker } = requireState(home.sandbox).machines.find(({ claimedBy }) => claimedBy === home.name)!;
    await eventually(60, async () => expect(await home.ask('get', 'nodes', worker)).toContain(' Ready '));
    const before = await neighbour.visitors();
    const others = (await home.ask('get', 'nodes', '-o', 'name'))
      .split('\n')
      .filter((name) => name !== `node/${worker}`);
    if (others.length > 0) await home.ask('delete', ...others);
    const nodes = await Promise.all([
      tenant.node([{ type: 'InternalIP', address: neighbour.podIp }], 10250),
      tenant.node([{ type: 'InternalIP', address: `neighbour.${neighbour.home.name}.svc.cluster.local` }], 10250),
      tenant.node([], 10250),
    ]);
    succeeded(await home.k8sk8s('certs', 'rotate-ca', '--authority', 'kubelet-serving-ca'));
    const answer = await home.k8sk8s('certs', 'rotate-ca');
    seen.push(`Nodes that are none, certs rotate-ca -> ${answer.stderr}`);
    expect(answer).toEqual(refused('clients-untold', ...nodes, `worker ${worker} (has its certificates of `));
    const since = (await neighbour.visitors()).slice(before.length);
    expect(since.filter((line) => line.startsWith('REQUEST'))).toEqual([]);
    await home.ask('delete', 'nodes', ...nodes);
  });

  test('an upgrade is not held up for ever by a Node that claims a version, or to be Ready', async () => {
    const node = await tenant.node([{ type: 'InternalIP', address: '192.0.2.1' }], 10250);
    const status = { nodeInfo: { kubeletVersion: 'v1.99.0' }, conditions: [{ type: 'Ready', status: 'True' }] };
    const type = 'application/merge-patch+json';
    await tenant.ask('PATCH', `/api/v1/nodes/${node}/status`, { body: { status }, type });
    const plan = await home.k8sk8s('upgrade', '--to', '1.37', '--plan');
    expect(plan.code).toBe(1);
    expect(plan.stdout).toContain('--accept-worker-skew');
    expect((await home.k8sk8s('upgrade', '--to', '1.37', '--plan', '--accept-worker-skew')).code).toBe(0);
    await home.ask('delete', 'node', node);
  });

  test("a flood of requests is the own plane's trouble, not its neighbours'", { timeout: 400_000 }, async () => {
    const data = { blob: 'x'.repeat(400_000) };
    for (let number = 0; number < 20; number++)
      await tenant.ask('POST', '/api/v1/namespaces/default/configmaps', {
        body: { metadata: { name: `blob-${number}`, labels: { blob: 'yes' } }, data },
      });
    await home.apply(exempt);
    const until = Date.now() + 40_000;
    const flood = Array.from({ length: 60 }, async () => {
      let answered = 0;
      while (Date.now() < until)
        if ((await tenant.ask('GET', '/api/v1/namespaces/default/configmaps')).status === 200) answered++;
      return answered;
    });
    const seconds = async (doing: () => Promise<string>) => {
      const all: string[] = [];
      for (let began = performance.now(); Date.now() < until; began = performance.now()) {
        const answer = await doing();
        all.push(`${answer} ${((performance.now() - began) / 1000).toFixed(1)} s`);
      }
      return all;
    };
    const [beside, looks] = await Promise.all([
      seconds(async () => succeeded(await other.hosted(['get', '--raw', '/readyz'])).stdout),
      seconds(async () => /^Health: +(.*)$/m.exec((await home.k8sk8s('status')).stdout)?.[1] ?? 'nothing'),
    ]);
    const answered = (await Promise.all(flood)).reduce((sum, each) => sum + each, 0);
    const metrics = (await home.hosted(['get', '--raw', '/metrics'])).stdout;
    const memory = Number(/^process_resident_memory_bytes (\S+)/m.exec(metrics)?.[1]) / (1 << 20);
    const last = (times: string[]) =>
      times.toSorted((a, b) => parseFloat(a.split(' ').at(-2)!) - parseFloat(b.split(' ').at(-2)!)).at(-1);
    seen.push(
      `60 at once that list 8 MB, exempt from all queues -> ${answered} answers, API server ${Math.round(memory)} MiB; another plane ${beside.length} answers, the slowest ${last(beside)}; status ${looks.join(', ')}`,
    );
    expect(beside.length).toBeGreaterThan(0);
    await eventually(90, () => home.ask('delete', 'flowschema', 'exempt-me', '--ignore-not-found'));
    await home.ask('delete', 'configmaps', '-l', 'blob=yes');
    expect(await home.ask('get', '--raw', '/readyz')).toBe('ok');
  });

  test('an API group of Kubernetes that they say to serve themselves: the operator hears so, and it comes back', async () => {
    const at = '/apis/apiregistration.k8s.io/v1/apiservices/v1.apps';
    const service = { namespace: 'default', name: await tenant.service(8443, neighbour.podIp) };
    const metadata = { labels: { 'kube-aggregator.kubernetes.io/automanaged': null } };
    const spec = { service, insecureSkipTLSVerify: true };
    const type = 'application/merge-patch+json';
    const { status, body } = await tenant.ask('PATCH', at, { body: { metadata, spec }, type });
    seen.push(`APIService v1.apps of their own -> ${status} ${body.slice(0, 200)}`);
    for (const command of [['status'], ['deploy']]) {
      const answer = await home.k8sk8s(...command);
      const health = /^Health: [\s\S]*?(?=^\S)/m.exec(answer.stdout)?.[0] ?? '';
      seen.push(`APIService v1.apps of their own, ${command} -> ${answer.code} ${health} ${answer.stderr}`);
      expect(answer.stderr).not.toMatch(/this is a bug|at .*:\d+:\d+/);
    }
    await tenant.ask('DELETE', at);
    await eventually(60, async () => changedNothing(await home.k8sk8s('deploy')));
  });

  test('behind a webhook that cannot be called, other commands do their work or name it', {
    timeout: 400_000,
  }, async () => {
    await everythingBy(home, webhookOnEverything('https://10.0.0.1/', 1));
    for (const command of [
      ['token', 'create'],
      ['user', 'create', 'anna', '--cluster-role', 'view'],
      ['backup', 'create', 'blocked.backup', '--plaintext'],
      ['etcd', 'defrag'],
    ]) {
      const answer = await home.k8sk8s(...command);
      seen.push(`a webhook on everything, ${command.join(' ')} -> ${answer.code} ${answer.stderr}`);
      if (answer.code !== 0) expect(answer, command.join(' ')).toEqual(refused('hosted-refused', 'everything.test'));
    }
    await home.ask('delete', 'validatingwebhookconfiguration', 'everything');
    await forgotten(home);
  });

  test('an API server that they keep from starting: status and deploy name it, and the way back is gone', {
    timeout: 600_000,
  }, async () => {
    // An API server makes an APIService of its own that is missing, and is not ready before.
    await home.ask('delete', 'apiservice', 'v1.apps', '--ignore-not-found');
    await everythingBy(home, webhookOnEverything('https://10.0.0.1/', 1));
    succeeded(await home.infra('delete', 'pod', '-l', 'app.kubernetes.io/name=kube-apiserver', '--wait=true'));
    const began = performance.now();
    await eventually(120, async () => {
      const answer = await home.k8sk8s('status');
      expect(answer.stdout).toContain('everything.test.k8sk8s.io');
    });
    seen.push(
      `an API server kept from starting, status names it after ${((performance.now() - began) / 1000).toFixed(0)} s`,
    );
    const without = 'disable-admission-plugins=ValidatingAdmissionWebhook,MutatingAdmissionWebhook';
    const back = await home.k8sk8s('deploy', '--api-server-arg', without);
    seen.push(`deploy without webhooks -> ${back.code} ${back.stderr}`);
    succeeded(back);
    await home.ask('delete', 'validatingwebhookconfiguration', 'everything');
    succeeded(await home.k8sk8s('deploy', '--reset', 'api-server-arg'));
    expect((await home.k8sk8s('diff')).code).toBe(0);
  });

  test('a full etcd is named, and there is a way back', { timeout: 400_000 }, async () => {
    succeeded(await other.k8sk8s('deploy', '--etcd-arg', `quota-backend-bytes=${24 << 20}`, '--yes'));
    const filler = new Tenant(other);
    const data = { blob: 'x'.repeat(900_000) };
    let refusal = '';
    for (let number = 0; number < 60 && refusal === ''; number++) {
      const body = { metadata: { name: `blob-${number}`, labels: { blob: 'yes' } }, data };
      const answer = await filler.ask('POST', '/api/v1/namespaces/default/configmaps', { body });
      if (answer.status !== 201) refusal = answer.body;
    }
    filler.close();
    expect(refusal).toContain('database space exceeded');
    const status = await eventually(60, async () => {
      const answer = await other.k8sk8s('status');
      expect(answer.stdout).toContain('NOSPACE');
      return answer;
    });
    seen.push(`etcd filled, status -> ${/^Health: [\s\S]*?(?=^\S)/m.exec(status.stdout)?.[0]}`);
    const deploy = await other.k8sk8s('deploy');
    seen.push(`etcd filled, deploy -> ${deploy.code} ${deploy.stderr}`);
    succeeded(await other.hosted(['delete', 'configmaps', '-l', 'blob=yes']));
    succeeded(await other.k8sk8s('etcd', 'defrag'));
    succeeded(await other.hosted(['create', 'configmap', 'written-again']));
  });
});

/** A tenant may let itself pass all queues. */
const exempt = `
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: exempt-me}
spec:
  matchingPrecedence: 2
  priorityLevelConfiguration: {name: exempt}
  rules:
    - subjects: [{kind: Group, group: {name: 'system:authenticated'}}]
      resourceRules: [{verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true}]
`;
