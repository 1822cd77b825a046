import { copyFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Pod } from '../../src/kube/objects.ts';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { Visitors } from './visitors.ts';
import { visitWorker } from './worker-visit.ts';
import { asInfraAdmin, eventually, Namespace, sandboxCommand, succeeded, uidsOf } from './world.ts';

// A change of a plane that runs, each of which took the API down in 0.1.0. The plane goes on
// answering, its pods are the same, and what did not work is not kept.

let home: Namespace;

beforeAll(async () => {
  home = await Namespace.open('live-changes');
  succeeded(await sandboxCommand(['host', 'live-changes.e2e.test'], home));
  succeeded(await home.k8sk8s('deploy', '-h', 'live-changes.e2e.test'));
  const issuer = { url: 'https://login.example.com', audiences: ['x'] };
  const jwt = [{ issuer, claimMappings: { username: { expression: 'claims.sub + 1 +' } } }];
  const authentication = { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AuthenticationConfiguration', jwt };
  writeFileSync(path.join(home.cwd, 'authentication.yaml'), JSON.stringify(authentication));
});

afterAll(async () => {
  await sandboxCommand(['join', '--leave', '-n', home.name], home);
  await home.k8sk8s('destroy', '--yes');
});

const pods = async () => uidsOf(await home.pods());
const secrets = async () =>
  succeeded(await home.infra('get', 'secrets', '-o', 'jsonpath={.items[*].metadata.resourceVersion}')).stdout;

const all = runsAllOf('e2e/live-changes');
/** Each is refused by the same trial of the API server as the one that `npm test` has, so these run with `npm run test:all`. */
const moreOfTheApiServer: [string, string[], string][] = [
  ['L1: a feature gate that does not exist', ['--feature-gates', 'NoSuchGate=true'], 'NoSuchGate'],
  ['issuers with CEL that does not compile', ['--authentication-config', 'authentication.yaml'], 'username.expression'],
];

test.each<[string, string[], string]>([
  [
    'L1: a value that the flag does not take',
    ['--api-server-arg', 'max-requests-inflight=abc'],
    'max-requests-inflight',
  ],
  ...(all ? moreOfTheApiServer : []),
  ['a flag of etcd', ['--etcd-arg', 'snapshot-count=abc'], 'snapshot-count'],
  ['a flag of the controller-manager', ['--controller-manager-arg', 'node-monitor-period=abc'], 'node-monitor-period'],
  [
    'L4: an image that cannot be pulled',
    ['--api-server-image', 'registry.invalid/kube-apiserver:none'],
    'registry.invalid',
  ],
])('%s is refused, and the plane runs as before', async (_, options, named) => {
  const before = [await pods(), await secrets()];
  const outcome = await home.k8sk8s('deploy', ...options);
  expect(outcome.code, outcome.stderr).toBe(1);
  expect(outcome.stderr).toContain('#change-refused');
  expect(outcome.stderr).toContain(named);
  expect(outcome.stderr).not.toContain('k8sk8s destroy');
  expect([await pods(), await secrets()]).toEqual(before);
  succeeded(await home.hosted(['get', '--raw', '/readyz']));
});

test('L4: a size for which no node has room asks for --yes', async () => {
  const before = await pods();
  const outcome = await home.k8sk8s('deploy', '--resources', 'kube-apiserver=cpu=640');
  expect(outcome.code, outcome.stderr).toBe(2);
  expect(outcome.stderr).toContain('#no-room-for-trial');
  expect(outcome.stderr).toContain('Insufficient cpu');
  expect(await pods()).toEqual(before);
});

test.runIf(all)('L9: with a quota for no second pod the gap is told and asked for', async () => {
  const count = (await pods()).length;
  succeeded(await asInfraAdmin('-n', home.name, 'create', 'quota', 'exact', `--hard=pods=${count}`));
  const visitors = new Visitors(home);
  try {
    await eventually(20, async () =>
      expect(succeeded(await home.infra('get', 'quota', 'exact', '-o', 'jsonpath={.status.used.pods}')).stdout).toBe(
        String(count),
      ),
    );
    const before = await pods();
    const asked = await home.k8sk8s('deploy', '--api-server-arg', 'v=3');
    expect(asked).toEqual(refused('no-room-for-trial', '15 s', '--yes'));
    expect(await pods()).toEqual(before);
    succeeded(await home.k8sk8s('deploy', '--api-server-arg', 'v=3', '--yes'));
    await sleep(8000);
    const longest = Math.max(...Object.values(visitors.seen()).map(({ longest }) => longest));
    console.log(`no room for a second API server: ${(longest / 1000).toFixed(1)} s without an answer`);
    succeeded(await home.k8sk8s('diff'));
  } finally {
    await visitors.stop();
    await asInfraAdmin('-n', home.name, 'delete', 'quota', 'exact');
  }
  succeeded(await home.k8sk8s('deploy', '--reset', 'api-server-arg'));
});

test('a good change replaces the pods that deploy names, and no other; nothing of its trial is left', async () => {
  // A pod that is replaced goes on answering for some seconds.
  const names = async () => {
    const { items } = JSON.parse(succeeded(await home.infra('get', 'pods', '-o', 'json')).stdout) as { items: Pod[] };
    return items.filter(({ metadata }) => !metadata.deletionTimestamp).map(({ metadata }) => `pod/${metadata.name}`);
  };
  const before = await names();
  const planned = succeeded(await home.k8sk8s('deploy', '--api-server-arg', 'v=1', '--dry-run', '--output', 'json'));
  const { stdout } = succeeded(await home.k8sk8s('deploy', '--api-server-arg', 'v=1', '--output', 'json'));
  const { replaced } = JSON.parse(stdout) as { replaced: { pods: string[] }[] };
  expect(replaced).toMatchObject([{ component: 'kube-apiserver', changed: ['arguments (v)'], cause: 'asked' }]);
  expect(JSON.parse(planned.stdout)).toMatchObject({ wouldReplace: replaced });
  const after = await names();
  expect(before.filter((name) => !after.includes(name))).toEqual(replaced[0]!.pods.map((name) => `pod/${name}`));
  expect(succeeded(await home.infra('get', 'pods,secrets', '-o', 'name')).stdout).not.toContain('trial');
  succeeded(await home.k8sk8s('diff'));
});

test('a change of the API server leaves no gap: not for new connections, not for kept ones, nor for pods of the hosted cluster', async () => {
  const visitors = new Visitors(home);
  try {
    succeeded(await home.k8sk8s('deploy', '--api-server-arg', 'v=2'));
    await sleep(8000);
  } finally {
    await visitors.stop();
  }
  const seen = Object.entries(visitors.seen());
  expect(seen).toHaveLength(4);
  for (const [kind, { requests, failedTwice }] of seen) {
    expect(requests, kind).toBeGreaterThan(10);
    expect(failedTwice, `${kind}: ${JSON.stringify(seen)}`).toBe(0);
  }
  expect(visitors.endpoints().size).toBeGreaterThan(0);
  expect(visitors.endpoints()).not.toContain('');
});

const startFiles = async () =>
  succeeded(await home.infra('get', 'secrets', '-l', 'k8sk8s.io/start-files-of', '-o', 'name'))
    .stdout.split('\n')
    .sort();

test('another HOST is asked for, and nothing is changed without --yes', async () => {
  succeeded(await sandboxCommand(['host', 'elsewhere.e2e.test'], home));
  const before = [await pods(), await secrets()];
  const outcome = await home.k8sk8s('deploy', '-h', 'elsewhere.e2e.test');
  expect(outcome).toEqual(refused('address-moves', 'live-changes.e2e.test', '--yes'));
  expect([await pods(), await secrets()]).toEqual(before);
});

test('L8: a change that passes its trial and does not work is taken back, and a pod that is made again reads the files of before', async () => {
  const files = await startFiles();
  expect(files.length).toBeGreaterThan(2);
  const address = succeeded(await home.infra('get', 'ingress', '-o', 'jsonpath={..host}')).stdout;
  succeeded(await sandboxCommand(['host', 'elsewhere.e2e.test', '--address', '127.0.0.1'], home));
  const outcome = await home.k8sk8s('deploy', '-h', 'elsewhere.e2e.test', '--yes');
  expect(outcome.code, outcome.stderr).toBe(1);
  expect(outcome).toEqual(refused('change-undone', 'elsewhere.e2e.test'));
  expect(outcome.stderr).not.toContain('k8sk8s destroy');
  expect(succeeded(await home.infra('get', 'ingress', '-o', 'jsonpath={..host}')).stdout).toBe(address);
  // An API server that leaves may still show the certificate for the other name.
  await eventually(30, async () => succeeded(await home.hosted(['get', '--raw', '/readyz'])));
  succeeded(await home.k8sk8s('diff'));
  // The pods read what they read before.
  expect(await startFiles()).toEqual(files);
});

test('L7: the old HOST is answered until somebody ends it, and the worker that dials it is named', async () => {
  const [old, next] = ['live-changes.e2e.test', 'moved.e2e.test'];
  for (const name of [old, next]) succeeded(await sandboxCommand(['host', name], home));
  succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
  const worker = await eventually(60, () => home.ask('get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}'));
  copyFileSync(path.join(home.cwd, 'tls/kubeconfig'), path.join(home.cwd, 'kubeconfig-before'));
  const moved = succeeded(await home.k8sk8s('deploy', '-h', next, '--yes'));
  expect(moved.stderr).toContain(worker);
  succeeded(await home.hosted(['--kubeconfig=kubeconfig-before', 'get', 'namespaces']));
  await eventually(60, async () => {
    const status = JSON.parse((await home.k8sk8s('status', '--output', 'json')).stdout) as {
      earlierHosts: string[];
      hosted: { workers: { dials?: string }[] };
    };
    expect(status.earlierHosts).toEqual([old]);
    expect(status.hosted.workers.map(({ dials }) => dials)).toEqual([old]);
  });
  expect(await home.k8sk8s('host', 'drop', old)).toEqual(refused('host-still-dialled', worker));
  expect(await home.k8sk8s('host', 'drop', 'never.e2e.test')).toEqual(refused('no-earlier-host', old));
  await visitWorker(home);
  await eventually(60, async () => succeeded(await home.k8sk8s('host', 'drop', old)));
  // An API server that leaves serves, and says 500 of its readiness.
  succeeded(await home.hosted(['get', 'namespaces']));
  await eventually(30, async () =>
    expect((await home.hosted(['--kubeconfig=kubeconfig-before', 'get', '--raw', '/readyz'])).code).not.toBe(0),
  );
  expect(JSON.parse((await home.k8sk8s('status', '--output', 'json')).stdout)).toMatchObject({ earlierHosts: [] });
  succeeded(await home.k8sk8s('diff'));
});
