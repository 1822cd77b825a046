import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import type { InfraCluster } from './infra-cluster.ts';
import type { KubeObject } from './objects.ts';
import { follow } from './watch.ts';

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

test('a watch that is told that its version is gone, or cut in an event, is opened again from a list', async () => {
  const told = await toldOf([
    { items: [], lines: [line('ERROR', { kind: 'Status', code: 410 }), line('ADDED', pod('late', 'x'))] },
    { items: [pod('etcd-0', 'a')], lines: ['{"type":"ADD'] },
    { items: [pod('etcd-0', 'a')], lines: [line('DELETED', pod('etcd-0', 'a'))] },
  ]);
  expect(told).toEqual(['ADDED a', 'ADDED a', 'DELETED a']);
});
