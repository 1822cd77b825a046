import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { changedNothing, eventually, Namespace, sandboxCommand, succeeded, uidsOf } from './world.ts';
import { Writer } from './writer.ts';

// A plane with several etcd members and replicas, while somebody writes all the time. The tests of this file follow each
// other.

const host = 'members.e2e.test';
const all = runsAllOf('e2e/etcd-members');
let home: Namespace;
let writer: Writer;

beforeAll(async () => {
  home = await Namespace.open('members');
  succeeded(await sandboxCommand(['host', host], home));
  succeeded(await home.k8sk8s('deploy', '-h', host, '--etcd-storage', '1Gi'));
  writer = new Writer(home);
});

afterAll(async () => {
  await writer?.stop();
  await home.k8sk8s('destroy', '--yes');
});

const names = async (kind: string) =>
  succeeded(await home.infra('get', kind, '-o', 'jsonpath={.items[*].metadata.name}'))
    .stdout.trim()
    .split(' ');

/** More is written, and nothing that was acknowledged is gone. */
async function writesGoOn(): Promise<void> {
  const before = writer.acknowledged.length;
  await eventually(60, async () => expect(writer.acknowledged.length).toBeGreaterThan(before + 10));
  expect(await writer.lost()).toEqual([]);
}

test('one member becomes three, and one of each of the others becomes two', async () => {
  const said = succeeded(await home.k8sk8s('deploy', '--etcd-members', '3', '--replicas', '2')).stderr;
  expect(said).toContain('etcd member etcd-2 votes');
  await writesGoOn();
  expect(await names('poddisruptionbudgets')).toEqual([
    'etcd',
    'kube-apiserver',
    'kube-controller-manager',
    'kube-scheduler',
  ]);
  await eventually(60, async () => {
    const { stdout } = succeeded(await home.k8sk8s('status'));
    expect(stdout).toMatch(/^etcd +3\/3 /m);
    expect(stdout).toMatch(/^kube-apiserver +2\/2 /m);
  });
  changedNothing(await home.k8sk8s('deploy'));
  expect((await home.k8sk8s('diff')).code).toBe(0);
});

test.runIf(all)('another way of replacing pods, as a plane of an earlier k8sk8s has it, is taken back', async () => {
  const rolling = JSON.stringify({
    spec: { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } } },
  });
  succeeded(await home.infra('patch', 'statefulset', 'etcd', '--type=merge', '-p', rolling));
  succeeded(await home.k8sk8s('deploy'));
  expect((await home.k8sk8s('diff')).code).toBe(0);
});

test('members and replicas are spread over the infra nodes', async () => {
  for (const [name, count] of [
    ['etcd', 3],
    ['kube-apiserver', 2],
  ] as const) {
    const nodes = (await home.podsOf(name)).map(({ spec }) => spec.nodeName);
    expect(new Set(nodes).size, `${name} on ${nodes}`).toBe(count);
  }
});

test('a member and an API server die at once, and the writes go on', async () => {
  const [apiserver] = (await names('pods')).filter((name) => name.startsWith('kube-apiserver-'));
  succeeded(await home.infra('delete', 'pod', 'etcd-1', apiserver!, '--grace-period=0', '--force'));
  await writesGoOn();
  await eventually(120, async () => succeeded(await home.k8sk8s('status')));
});

// `etcd-survivor` repairs two members of three.
test.runIf(all)('a member whose volume is gone gets its data from the others, when told to', async () => {
  changedNothing(await home.k8sk8s('etcd', 'repair'));
  succeeded(await home.infra('delete', 'persistentvolumeclaim', 'data-etcd-1', '--wait=false'));
  succeeded(await home.infra('delete', 'pod', 'etcd-1', '--grace-period=0', '--force'));
  await eventually(90, async () => {
    const { code, stdout } = await home.k8sk8s('etcd', 'members');
    expect(code, stdout).toBe(1);
    expect(stdout).toMatch(/^etcd-1 +\S+ +silent/m);
  });
  const unasked = await home.k8sk8s('etcd', 'repair');
  expect(unasked.code).toBe(2);
  expect(unasked).toEqual(refused('not-confirmed', 'etcd-1', '--yes'));
  expect(succeeded(await home.k8sk8s('etcd', 'repair', '--yes')).stderr).toContain('etcd-1');
  await eventually(60, async () => succeeded(await home.k8sk8s('etcd', 'members')));
  await writesGoOn();
});

test('free space of each member is given back, while writes go on', async () => {
  const said = succeeded(await home.k8sk8s('etcd', 'defrag')).stderr;
  for (const member of ['etcd-0', 'etcd-1', 'etcd-2']) expect(said).toMatch(new RegExp(`^${member}: .* now$`, 'm'));
  await writesGoOn();
});

test.runIf(all)('all certificates are new, no pod was replaced for them, and the writes go on', async () => {
  const uids = async () => uidsOf(await home.pods());
  const before = await uids();
  expect(before).toHaveLength(9);
  succeeded(await home.k8sk8s('certs', 'renew'));
  succeeded(await home.k8sk8s('status'));
  expect(await uids()).toEqual(before);
  await writesGoOn();
});

test.runIf(all)('in a full etcd, what is deleted makes room for writes again', { timeout: 300_000 }, async () => {
  succeeded(await home.k8sk8s('deploy', '--etcd-arg', `quota-backend-bytes=${24 << 20}`));
  writeFileSync(path.join(home.cwd, 'ballast'), 'x'.repeat(1_000_000));
  const write = (number: number) => home.hosted(['create', 'configmap', `ballast-${number}`, '--from-file=ballast']);
  const ballast: string[] = [];
  for (let refusal = ''; refusal === ''; ) {
    const { code, stderr } = await write(ballast.length);
    if (code === 0) ballast.push(`ballast-${ballast.length}`);
    else refusal = stderr;
    expect(ballast.length).toBeLessThan(40);
    expect(refusal).toMatch(/^$|database space exceeded/);
  }
  await eventually(30, async () => expect((await home.k8sk8s('status')).stdout).toMatch(/etcd is full .* etcd defrag/));
  succeeded(await home.hosted(['delete', 'configmap', ...ballast]));
  succeeded(await home.k8sk8s('etcd', 'defrag'));
  await writesGoOn();
  succeeded(await home.k8sk8s('etcd', 'members'));
  succeeded(await home.k8sk8s('deploy', '--reset', 'etcd-arg'));
  await writesGoOn();
});

test.runIf(all)('three members become five and three again', { timeout: 600_000 }, async () => {
  const said = succeeded(await home.k8sk8s('deploy', '--etcd-members', '5')).stderr;
  expect(said).toContain('etcd member etcd-4 votes');
  await writesGoOn();
  await eventually(60, async () => {
    expect(succeeded(await home.k8sk8s('etcd', 'members')).stdout.match(/ (leader|follower) /g)).toHaveLength(5);
    const { stdout } = succeeded(await home.k8sk8s('status'));
    expect(stdout).toMatch(/^etcd +5\/5 /m);
    // There are three infra nodes.
    expect(stdout).toContain('2 pods of etcd are on infra node');
  });
  succeeded(await home.k8sk8s('deploy', '--etcd-members', '3'));
  await writesGoOn();
  expect(await names('persistentvolumeclaims')).toEqual(['data-etcd-0', 'data-etcd-1', 'data-etcd-2']);
  expect((await names('services')).sort()).toEqual(['apiserver', 'etcd0', 'etcd1', 'etcd2']);
  await eventually(60, async () => succeeded(await home.k8sk8s('status')));
});

test('members that cannot start are replaced when what keeps them is taken back', async () => {
  const broken = await home.k8sk8s('deploy', '--etcd-arg', 'experimental-nonsense=1', '--timeout', '60s');
  expect(broken.code).toBe(1);
  await writesGoOn();
  succeeded(await home.k8sk8s('deploy', '--reset', 'etcd-arg'));
  await eventually(60, async () => succeeded(await home.k8sk8s('etcd', 'members')));
  await writesGoOn();
});

test('three members become one again, without a lost write', async () => {
  const said = succeeded(await home.k8sk8s('deploy', '--etcd-members', '1', '--replicas', '1')).stderr;
  expect(said).toContain('etcd member etcd-1 removed');
  await writesGoOn();
  expect(await names('persistentvolumeclaims')).toEqual(['data-etcd-0']);
  expect((await names('services')).sort()).toEqual(['apiserver', 'etcd0']);
  expect(await names('poddisruptionbudgets')).toEqual(['']);
  succeeded(await home.k8sk8s('status'));
  changedNothing(await home.k8sk8s('deploy'));
});
