import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { refused } from '../refused.ts';
import { runsAllOf } from '../test-all.ts';
import { changedNothing, eventually, Namespace, sandboxCommand, succeeded } from './world.ts';
import { Writer } from './writer.ts';

// A plane of three members of which two lose their volumes at once. The tests follow each other; those that run long are in
// `npm run test:all` alone.

const host = 'survivor.e2e.test';
const all = runsAllOf('e2e/etcd-survivor');

interface Member {
  name: string;
  role: string;
  status?: { revision: number };
}

describe('one member is left of three', () => {
  let home: Namespace;
  let acknowledged: string[];
  let writer: Writer;

  beforeAll(async () => {
    home = await Namespace.open('survivor');
    succeeded(await sandboxCommand(['host', host], home));
    succeeded(await home.k8sk8s('deploy', '-h', host, '--etcd-storage', '1Gi', '--etcd-members', '3'));
    await writeAndStop('first');
  });

  afterAll(async () => {
    await writer?.stop();
    await home.k8sk8s('destroy', '--yes');
  });

  const members = async (): Promise<Member[]> =>
    JSON.parse((await home.k8sk8s('etcd', 'members', '--output', 'json')).stdout || '[]');

  /** Everything that was acknowledged is on all members before some of them are lost. */
  async function writeAndStop(name: string): Promise<void> {
    writer = new Writer(home, name);
    await eventually(60, async () => expect(writer.acknowledged.length).toBeGreaterThan(100));
    expect(await writer.stop()).toEqual([]);
    acknowledged = writer.acknowledged;
    await eventually(30, async () => {
      const found = await members();
      expect(new Set(found.map(({ status }) => status?.revision)).size, JSON.stringify(found)).toBe(1);
    });
  }

  async function lose(...lost: string[]): Promise<void> {
    const claims = lost.map((name) => `data-${name}`);
    succeeded(await home.infra('delete', 'persistentvolumeclaim', ...claims, '--wait=false'));
    succeeded(await home.infra('delete', 'pod', ...lost, '--grace-period=0', '--force'));
    await eventually(90, async () => {
      const found = await members();
      expect(found.filter(({ role }) => role === 'silent').map(({ name }) => name)).toEqual(lost);
    });
  }

  async function whole(): Promise<void> {
    await eventually(120, async () => succeeded(await home.k8sk8s('etcd', 'members')));
    await eventually(120, async () => {
      expect(succeeded(await home.k8sk8s('status')).stdout).toMatch(/^etcd +3\/3 /m);
    });
    expect(acknowledged.length).toBeGreaterThan(100);
    expect(await writer.lost()).toEqual([]);
    changedNothing(await home.k8sk8s('etcd', 'repair'));
    succeeded(await home.k8sk8s('diff'));
  }

  test('all that it held comes back, on three members', async () => {
    await lose('etcd-1', 'etcd-2');
    const unasked = await home.k8sk8s('etcd', 'repair');
    expect(unasked.code).toBe(2);
    expect(unasked).toEqual(refused('not-confirmed', 'etcd-0', 'etcd-1', 'etcd-2', '--yes'));
    const said = succeeded(await home.k8sk8s('etcd', 'repair', '--yes')).stderr;
    expect(said).toContain('etcd-1 has the data of etcd-0');
    await whole();
    changedNothing(await home.k8sk8s('deploy'));
  });

  test.runIf(all)('killed again and again, it goes on', async () => {
    await writeAndStop('second');
    await lose('etcd-0', 'etcd-1');
    const pod = (name: string, path: string) =>
      home.infra('get', 'pod', name, '--ignore-not-found', '-o', `jsonpath={${path}}`);
    const stages: [string, () => Promise<boolean>][] = [
      ['the API server is gone', async () => (await names('pods')).every((name) => !name.startsWith('kube-apiserver'))],
      ['the data is on its way', async () => (await pod('k8sk8s-restore', '.metadata.name')).stdout !== ''],
      [
        'the first member runs',
        async () => /true/.test((await pod('etcd-0', '.status.containerStatuses[*].ready')).stdout),
      ],
    ];
    for (const [what, reached] of stages) {
      const come = eventually(180, async () => expect(await reached(), what).toBe(true));
      await home.killed(come, 'etcd', 'repair', '--yes');
      await come;
    }
    await eventually(120, async () => succeeded(await home.k8sk8s('etcd', 'repair', '--yes')));
    await whole();
  });

  const scaled = async (replicas: number) =>
    succeeded(
      await home.infra('patch', 'statefulset', 'etcd', '--type=merge', '-p', JSON.stringify({ spec: { replicas } })),
    );

  const names = async (kind: string) =>
    succeeded(await home.infra('get', kind, '-o', 'jsonpath={.items[*].metadata.name}'))
      .stdout.trim()
      .split(' ');

  test.runIf(all)('with none left, it says what else there is, and does nothing', async () => {
    await scaled(0);
    await eventually(60, async () =>
      expect((await names('pods')).filter((name) => name.startsWith('etcd'))).toEqual([]),
    );
    const answer = await home.k8sk8s('etcd', 'repair', '--yes');
    expect(answer.code).toBe(1);
    expect(answer).toEqual(refused('etcd-majority', 'k8sk8s restore'));
    await scaled(3);
    await whole();
  });

  test.runIf(all)(
    'a backup brings back as many members as there were, also when it is killed while they join',
    async () => {
      succeeded(await home.k8sk8s('backup', 'create', 'saved', '--plaintext'));
      succeeded(await home.k8sk8s('destroy', '--yes'));
      const joining = eventually(180, async () => expect(await names('pods')).toContain('etcd-1'));
      await home.killed(joining, 'restore', 'saved');
      await joining;
      const said = succeeded(await home.k8sk8s('restore', 'saved')).stderr;
      expect(said).toContain('etcd member etcd-2 votes');
      const answer = await home.k8sk8s('restore', 'saved');
      expect(answer).toEqual(refused('namespace-has-plane', '"survivor"'));
      await whole();
    },
  );
});
