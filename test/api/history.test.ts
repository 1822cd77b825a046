import { setTimeout as sleep } from 'node:timers/promises';
import { expect, inject, test } from 'vitest';
import type { KubeObject } from '../../src/kube/objects.ts';
import { issueLeaf } from '../../src/pki/issue.ts';
import { judge, type Operation, Writers } from '../faults/history.ts';
import { newNamespace } from './world.ts';

// What `npm run faults` judges acknowledged writes by: it has to find what is broken, and nothing in what is not.

type Row = Pick<Operation, 'kind' | 'value' | 'found' | 'call' | 'return'>;

const put = (call: number, end: number, value: string, found = true): Row => ({
  kind: 'put',
  value,
  found,
  call,
  return: end,
});
const get = (call: number, end: number, value: string): Row => ({
  kind: 'get',
  value,
  found: value !== '',
  call,
  return: end,
});
const del = (call: number, end: number, found = true): Row => ({ kind: 'delete', value: '', found, call, return: end });
const first = put(1, 2, 'a', false);

test.each<[string, string[], Row[]]>([
  ['in order', [], [first, get(3, 4, 'a'), put(5, 6, 'b'), get(7, 8, 'b'), del(9, 10), get(11, 12, '')]],
  ['an acknowledged write that is not there', ['lost', 'broken'], [first, get(3, 4, '')]],
  ['an acknowledged update that never shows', ['lost', 'broken'], [first, put(3, 4, 'b'), get(5, 6, 'a')]],
  ['an old value, then the new one', ['stale', 'broken'], [first, put(3, 4, 'b'), get(5, 6, 'a'), get(7, 8, 'b')]],
  ['absent, then there', ['stale', 'broken'], [first, get(3, 4, ''), get(5, 6, 'a')]],
  ['a deleted object that is back', ['resurrected', 'broken'], [first, del(3, 4), get(5, 6, 'a')]],
  ['a read that goes back in time', ['broken'], [first, put(3, 9, 'b'), get(4, 5, 'b'), get(6, 7, 'a')]],
  ['a write that found what was deleted', ['broken'], [first, del(3, 4), put(5, 6, 'b', true)]],
  ['an unanswered write that took effect late', [], [first, put(3, 0, 'b'), get(5, 6, 'a'), get(7, 8, 'b')]],
  ['an unanswered write that never did', [], [first, put(3, 0, 'b'), get(5, 6, 'a')]],
  ['an unanswered write undone', ['broken'], [first, put(3, 0, 'b'), get(5, 6, 'b'), get(7, 8, 'a')]],
  ['an unanswered delete that took effect', [], [first, del(3, 0, false), get(5, 6, 'a'), get(7, 8, '')]],
  ['an unanswered read', [], [first, get(3, 0, '')]],
  ['concurrent writes in either order', [], [first, put(3, 9, 'b'), put(4, 8, 'c'), get(10, 11, 'b')]],
  [
    'concurrent writes in both orders',
    ['broken'],
    [first, put(3, 9, 'b'), put(4, 8, 'c'), get(10, 11, 'b'), get(12, 13, 'c')],
  ],
  ['a value that nobody wrote', ['broken'], [get(1, 2, 'x')]],
])('a history with %s is judged %j', async (_, expected, rows) => {
  const { operations, unanswered, keys, ...lists } = await judge(
    rows.map((row, client) => ({ ...row, client, key: 'k' })),
  );
  expect(operations).toBe(rows.length);
  expect(Object.keys(lists).filter((name) => lists[name as keyof typeof lists].length > 0)).toEqual(expected);
});

test('writers on a sound API server show nothing, and what somebody takes away behind them', {
  timeout: 120_000,
}, async () => {
  const { name: namespace, admin } = await newNamespace();
  const { server, authority } = inject('api');
  const open = async () =>
    new Writers({
      host: new URL(server).hostname,
      port: Number(new URL(server).port),
      servername: 'localhost',
      ca: authority.certificate,
      client: await issueLeaf(authority, {
        commonName: 'writer',
        organizations: ['system:masters'],
        usages: ['clientAuth'],
      }),
      namespace,
    });
  const written = async (writers: Writers, count: number) => {
    while (writers.acknowledged < count) await sleep(20);
  };

  const sound = await open();
  sound.start(4);
  await written(sound, 60);
  const { operations, unanswered, keys, ...lists } = await judge(await sound.stop());
  expect(Object.values(lists).flat()).toEqual([]);
  expect(operations).toBeGreaterThan(100);
  expect(unanswered).toBe(0);
  expect(sound.servers.size).toBe(1);

  const kind = { apiVersion: 'v1', kind: 'ConfigMap' };
  for (const { metadata } of (await admin.list<KubeObject>(kind)).items) await admin.delete(kind, metadata.name);
  const robbed = await open();
  robbed.start(4);
  await written(robbed, 60);
  const own = (await admin.list<KubeObject>(kind)).items.find(({ metadata }) => metadata.name.startsWith('own-'))!;
  await admin.delete(kind, own.metadata.name);
  const found = await judge(await robbed.stop());
  expect(found.lost).toEqual([own.metadata.name]);
  expect(found.broken).toEqual([own.metadata.name]);
});
