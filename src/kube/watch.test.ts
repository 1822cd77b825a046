import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import type { InfraCluster } from './infra-cluster.ts';
import type { KubeObject } from './objects.ts';
import { follow, type WatchEvent } from './watch.ts';

const kind = { apiVersion: 'v1', kind: 'Pod' };
const pod = (name: string, uid = `uid-${name}`): KubeObject => ({ ...kind, metadata: { name, uid } });

/** What `follow` tells of a cluster whose lists and watches answer in this order; it ends with the last list. */
async function told(lists: (KubeObject[] | Error)[], watches: WatchEvent<KubeObject>[][]): Promise<string[]> {
  const events: string[] = [];
  const stop = new AbortController();
  const cluster = {
    list: async () => {
      const items = lists.shift()!;
      if (lists.length === 0) queueMicrotask(() => stop.abort());
      if (items instanceof Error) throw items;
      return { metadata: { resourceVersion: '1' }, items };
    },
    watch: async () => Readable.from((watches.shift() ?? []).map((event) => `${JSON.stringify(event)}\n`)),
  } as unknown as InfraCluster;
  await follow(cluster, kind, {}, stop.signal, ({ type, object }) =>
    events.push(`${type} ${object.metadata.name} ${object.metadata.uid}`),
  );
  return events;
}

test('what was deleted while no watch was open is told with the next list', async () => {
  const added: WatchEvent<KubeObject> = { type: 'ADDED', object: pod('b') };
  expect(await told([[pod('a')], [pod('b')]], [[added]])).toEqual([
    'ADDED a uid-a',
    'ADDED b uid-b',
    'DELETED a uid-a',
    'ADDED b uid-b',
  ]);
});

test('an object of the same name that was made anew meanwhile is told after the end of the first', async () => {
  expect(await told([[pod('a', '1')], [pod('a', '2')]], [])).toEqual(['ADDED a 1', 'DELETED a 1', 'ADDED a 2']);
});

test('what the watch itself told to be deleted is not told again, and a list that fails deletes nothing', async () => {
  const deleted: WatchEvent<KubeObject> = { type: 'DELETED', object: pod('a') };
  expect(await told([[pod('a'), pod('b')], new Error('socket hang up'), [pod('b')]], [[deleted]])).toEqual([
    'ADDED a uid-a',
    'ADDED b uid-b',
    'DELETED a uid-a',
    'ADDED b uid-b',
  ]);
});
