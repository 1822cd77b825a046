import { afterAll, beforeAll, expect, test } from 'vitest';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { changedNothing, eventually, Namespace, sandboxCommand, succeeded } from './world.ts';

// A plane with a volume sleeps and wakes, and a worker of it goes on meanwhile; then one without a volume. The tests of this file follow each other.

const all = runsAllOf('e2e/sleep');
let home: Namespace;
/** Everything stored before the plane sleeps, and when the containers on the worker were started. */
let stored: string;
let started: string;

beforeAll(async () => {
  home = await Namespace.open('sleep');
  succeeded(await sandboxCommand(['host', 'sleep.e2e.test'], home));
  succeeded(await home.k8sk8s('deploy', '-h', 'sleep.e2e.test', '--etcd-storage', '1Gi'));
  succeeded(await sandboxCommand(['join', '-n', home.name, '--workers', '1'], home));
  await home.ask('create', 'configmap', 'before', '--from-literal=a=b');
  await home.ask('create', 'secret', 'generic', 'before', '--from-literal=c=d');
  started = await eventually(180, async () => {
    await allReady();
    return startTimes();
  });
  stored = await objects();
});

afterAll(async () => {
  await sandboxCommand(['join', '--leave', '-n', home.name], home);
  await home.k8sk8s('destroy', '--yes');
});

/** ConfigMaps, Secrets and what nobody writes on his own, with the moment of their last change. */
function objects(): Promise<string> {
  return home.ask(
    ...['get', 'configmaps,secrets,serviceaccounts,daemonsets,services,clusterroles,clusterrolebindings', '-A', '-o'],
    'jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.uid} {.metadata.generation} {.data}{"\\n"}{end}',
  );
}

function startTimes(): Promise<string> {
  return home.ask(
    ...['get', 'pods', '-A', '--sort-by=.metadata.uid', '-o'],
    'jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[*].state.running.startedAt}{"\\n"}{end}',
  );
}

async function allReady(): Promise<void> {
  expect(await home.ask('get', 'nodes', '--no-headers')).toMatch(/ Ready /);
  const pods = await home.ask('get', 'pods', '-A', '--no-headers');
  expect(pods).toContain('kube-proxy');
  expect(pods.split('\n').filter((line) => !/ (\d+)\/\1 +Running /.test(line))).toEqual([]);
}

async function planePods(): Promise<string> {
  return succeeded(await home.infra('get', 'pods', '-l', 'app.kubernetes.io/part-of=k8sk8s', '-o', 'name')).stdout;
}

test('sleeps, also when the first try was killed: no pod is left, and status and list say so', async () => {
  await home.killed(1500, 'sleep');
  expect(succeeded(await home.k8sk8s('sleep')).stderr).toMatch(/The plane sleeps|Nothing to do/);
  expect(await planePods()).toBe('');
  expect(succeeded(await home.infra('get', 'pvc', 'data-etcd-0', '-o', 'name')).stdout).toContain('data-etcd-0');
  const status = succeeded(await home.k8sk8s('status')).stdout;
  expect(status).toContain('asleep; wake it with: k8sk8s wake -n sleep');
  expect(succeeded(await home.k8sk8s('list')).stdout).toMatch(/sleep\.e2e\.test.*asleep/);
  changedNothing(await home.k8sk8s('sleep'));
});

test('while it sleeps, what needs its API names wake and changes nothing, and the rest works', async () => {
  const refusing = [
    ['encrypt', 'rotate'],
    ['certs', 'rotate-service-account-key'],
    ['upgrade', '--to', '1.37', '--plan'],
    ['user', 'list'],
    ['token', 'list'],
  ];
  for (const command of refusing) {
    const answer = await home.k8sk8s(...command);
    expect(answer.code, command.join(' ')).toBe(1);
    expect(answer).toEqual(refused('plane-asleep', 'k8sk8s wake -n sleep'));
  }
  expect(succeeded(await home.k8sk8s('diff')).stdout).toContain('The plane sleeps');
  succeeded(await home.k8sk8s('encrypt', 'status'));
  const renewed = succeeded(await home.k8sk8s('certs', 'renew', '--name', 'apiserver'));
  expect(renewed.stderr).toContain('it reads them when it wakes');
  expect(await planePods()).toBe('');
});

test('wakes with everything that it held, and the containers of its worker were never touched', async () => {
  const woken = succeeded(await home.k8sk8s('wake'));
  expect(woken.stderr).toContain('AVAILABLE !');
  expect(await objects()).toBe(stored);
  await eventually(180, allReady);
  expect(await startTimes()).toBe(started);
  succeeded(await home.k8sk8s('status'));
  changedNothing(await home.k8sk8s('wake'));
  changedNothing(await home.k8sk8s('deploy'));
});

test(`an ephemeral plane sleeps and wakes with all that it held${all ? ', also when both were killed half-way' : ''}`, async () => {
  const light = await Namespace.open('sleep-light');
  succeeded(await sandboxCommand(['host', 'sleep-light.e2e.test'], light));
  try {
    succeeded(await light.k8sk8s('deploy', '-h', 'sleep-light.e2e.test', '--etcd-storage', 'ephemeral'));
    await light.ask('create', 'configmap', 'before', '--from-literal=a=b');
    await light.ask('create', 'secret', 'generic', 'before', '--from-literal=c=d');
    if (all) await light.killed(2500, 'sleep');
    const asleep = succeeded(await light.k8sk8s('sleep'));
    expect(asleep.stderr).toMatch(/The plane sleeps|Nothing to do/);
    expect(succeeded(await light.k8sk8s('status')).stdout).toMatch(/^Storage: +ephemeral: .* snapshot in Secrets/m);
    const answer = await light.k8sk8s('deploy');
    expect(answer.code).toBe(2);
    expect(answer).toEqual(refused('plane-asleep', 'k8sk8s wake -n sleep-light'));
    if (all) await light.killed(4000, 'wake');
    expect(succeeded(await light.k8sk8s('wake')).stderr).toContain(all ? 'again' : 'AVAILABLE !');
    expect(await light.ask('get', 'configmap', 'before', '-o', 'jsonpath={.data.a}')).toBe('b');
    expect(await light.ask('get', 'secret', 'before', '-o', 'jsonpath={.data.c}')).toBe(
      Buffer.from('d').toString('base64'),
    );
    succeeded(await light.k8sk8s('status'));
    expect(succeeded(await light.infra('get', 'secrets', '-o', 'name')).stdout).not.toContain('etcd-snapshot');
  } finally {
    succeeded(await light.k8sk8s('destroy', '--yes'));
  }
});

test('deploy wakes it too', async () => {
  succeeded(await home.k8sk8s('sleep'));
  const deployed = succeeded(await home.k8sk8s('deploy'));
  expect(deployed.stderr).toContain('deploy wakes it');
  expect(deployed.stderr).toContain('AVAILABLE !');
  succeeded(await home.k8sk8s('status'));
  expect(await home.ask('get', 'configmap', 'before', '-o', 'jsonpath={.data.a}')).toBe('b');
});
