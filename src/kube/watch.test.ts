import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ApiError } from './errors.ts';
import type { InfraCluster } from './infra-cluster.ts';
import type { KubeObject } from './objects.ts';
import { follow, pauseAfter } from './watch.ts';

const pod = (name: string, uid: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, uid, resourceVersion: '1' },
});
const line = (type: string, object: object) => `${JSON.stringify({ type, object })}\n`;

/** What is told of a cluster of which each list is followed by a watch that ends after these lines. */
async function toldOf(rounds: { items: KubeObject[]; lines: string[] }[]): Promise<string[]> {
  const stop = new AbortController();
  const told: string[] = [];
  let round = -1;
  const cluster = {
    list: async () => ({ metadata: {}, items: rounds[++round]?.items ?? [] }),
    watch: async () => {
      if (round === rounds.length - 1) stop.abort();
      return Readable.from(rounds[round]!.lines);
    },
  } as unknown as InfraCluster;
  await follow(cluster, { apiVersion: 'v1', kind: 'Pod' }, {}, stop.signal, ({ type, object }) =>
    told.push(`${type} ${object.metadata.uid}`),
  );
  return told;
}

test('what is deleted while no watch is open is told when it is listed again', async () => {
  const told = await toldOf([
    { items: [pod('etcd-0', 'a'), pod('other', 'b')], lines: [line('MODIFIED', pod('other', 'b'))] },
    // A StatefulSet's new pod has the name of the old one.
    { items: [pod('etcd-0', 'c')], lines: [] },
  ]);
  expect(told).toEqual(['ADDED a', 'ADDED b', 'MODIFIED b', 'DELETED a', 'DELETED b', 'ADDED c']);
});

test('of what is deleted while no watch is open, what is held is told, and not more', async () => {
  const stop = new AbortController();
  const gone: KubeObject[] = [];
  const lists = [[{ ...pod('etcd-0', 'a'), status: { phase: 'Running' } }], []];
  const cluster = {
    list: async () => ({ metadata: {}, items: lists.shift()! }),
    watch: async () => {
      if (lists.length === 0) stop.abort();
      return Readable.from([]);
    },
  } as unknown as InfraCluster;
  const kind = { apiVersion: 'v1', kind: 'Pod' };
  const keep = ({ apiVersion, kind, metadata: { name, uid } }: KubeObject) => ({
    apiVersion,
    kind,
    metadata: { name, uid },
  });
  const onEvent = ({ type, object }: { type: string; object: KubeObject }) => {
    if (type === 'DELETED') gone.push(object);
  };
  await follow<KubeObject>(cluster, kind, {}, stop.signal, onEvent, { longest: 10, held: keep });
  expect(gone).toEqual([{ ...kind, metadata: { name: 'etcd-0', uid: 'a' } }]);
});

test('a watch that is told that its version is gone, or cut in an event, is opened again from a list', async () => {
  const told = await toldOf([
    { items: [], lines: [line('ERROR', { kind: 'Status', code: 410 }), line('ADDED', pod('late', 'x'))] },
    { items: [pod('etcd-0', 'a')], lines: ['{"type":"ADD'] },
    { items: [pod('etcd-0', 'a')], lines: [line('DELETED', pod('etcd-0', 'a'))] },
  ]);
  expect(told).toEqual(['ADDED a', 'ADDED a', 'DELETED a']);
});

test('a watch that has lasted its time goes on from its last event or bookmark, and one that is told 410 from a list', async () => {
  const stop = new AbortController();
  const asked: string[] = [];
  const at = (resourceVersion: string) => ({ metadata: { resourceVersion } });
  const changed = { ...pod('a', 'a'), metadata: { ...pod('a', 'a').metadata, resourceVersion: '6' } };
  const watches = [
    [line('MODIFIED', changed)],
    [line('BOOKMARK', at('9'))],
    [line('ERROR', { kind: 'Status', code: 410 })],
    [],
  ];
  const cluster = {
    list: async () => {
      asked.push('list');
      return { metadata: { resourceVersion: '5' }, items: [] };
    },
    watch: async (_kind: object, { resourceVersion }: { resourceVersion: string }) => {
      asked.push(resourceVersion);
      if (asked.length === 6) stop.abort();
      return Readable.from(watches.shift()!);
    },
  } as unknown as InfraCluster;
  await follow(cluster, { apiVersion: 'v1', kind: 'Pod' }, {}, stop.signal, () => undefined, { longest: 10 });
  expect(asked).toEqual(['list', '5', '6', '9', 'list', '5']);
});

test('an API server that does not answer is asked more and more rarely', async () => {
  const stop = new AbortController();
  let asked = 0;
  const cluster = {
    list: async () => {
      asked++;
      throw new Error('refused');
    },
  } as unknown as InfraCluster;
  const followed = follow(cluster, { apiVersion: 'v1', kind: 'Pod' }, {}, stop.signal, () => undefined);
  await sleep(1600);
  stop.abort();
  await followed;
  // At once, and after 125 to 250 ms, twice that and four times that; every 250 ms would be 7 times.
  expect(asked).toBeGreaterThanOrEqual(3);
  expect(asked).toBeLessThanOrEqual(4);
});

test('a refusal ends it, unless failures are told: then it goes on, and knows what was deleted meanwhile', async () => {
  const stop = new AbortController();
  const refusal = (status: number) => new ApiError({ status, reason: '', message: 'no' });
  const answers = [[pod('a', 'a')], refusal(401), refusal(403), [pod('b', 'b')]];
  const cluster = () => {
    const left = [...answers];
    return {
      list: async () => {
        const answer = left.shift()!;
        if (answer instanceof Error) throw answer;
        return { metadata: {}, items: answer };
      },
      watch: async () => {
        if (left.length === 0) stop.abort();
        return Readable.from([]);
      },
    } as unknown as InfraCluster;
  };
  const kind = { apiVersion: 'v1', kind: 'Pod' };
  await expect(follow(cluster(), kind, {}, stop.signal, () => undefined)).rejects.toMatchObject({ status: 401 });
  const told: unknown[] = [];
  await follow(cluster(), kind, {}, stop.signal, ({ type, object }) => told.push(`${type} ${object.metadata.uid}`), {
    longest: 10,
    onFailure: (error) => told.push((error as ApiError).status),
  });
  expect(told).toEqual(['ADDED a', 401, 403, 'DELETED a', 'ADDED b']);
});

test('watches that were cut together do not come back together, and none waits longer than it may', () => {
  const pauses = Array.from({ length: 50 }, () => pauseAfter(3, 30_000));
  expect(Math.min(...pauses)).toBeGreaterThanOrEqual(1000);
  expect(Math.max(...pauses)).toBeLessThanOrEqual(2000);
  expect(new Set(pauses.map(Math.round)).size).toBeGreaterThan(10);
  expect(pauseAfter(40, 30_000)).toBeLessThanOrEqual(30_000);
});
