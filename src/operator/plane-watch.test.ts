import { Readable } from 'node:stream';
import { afterEach, expect, test } from 'vitest';
import { until } from '../../test/until.ts';
import type { Kind } from '../kube/cluster.ts';
import { ApiError } from '../kube/errors.ts';
import type { InfraCluster } from '../kube/infra-cluster.ts';
import type { KubeObject } from '../kube/objects.ts';
import { PlaneWatch } from './plane-watch.ts';

const forbidden = new ApiError({ status: 403, reason: 'Forbidden', message: 'made up', of: 'infra' });
const notServed = new ApiError({ status: 404, reason: 'NotFound', message: 'made up', of: 'infra' });

const watches: PlaneWatch[] = [];
afterEach(async () => {
  for (const watch of watches.splice(0)) await watch.close();
});

/** A plane whose namespace has objects of these kinds; a kind with an error is answered with that. */
function watching(there: Record<string, 'some' | ApiError>) {
  const listed: string[] = [];
  const watched: string[] = [];
  const cluster = {
    list: async ({ kind }: Kind) => {
      listed.push(kind);
      const answer = there[kind];
      if (answer instanceof ApiError) throw answer;
      const metadata = { name: 'a', uid: kind };
      return { metadata: { resourceVersion: '1' }, items: answer ? [{ metadata } as KubeObject] : [] };
    },
    watch: async ({ kind }: Kind, _: object, signal: AbortSignal) => {
      watched.push(kind);
      return new Readable({ read: () => undefined, signal }).on('error', () => undefined);
    },
    close: async () => undefined,
  } as unknown as InfraCluster;
  const watch = new PlaneWatch(cluster, 'plane-a', () => undefined);
  watches.push(watch);
  return { watch, listed, watched };
}

test('a kind is watched from when the plane has objects of it, and is not asked for before somebody looks again', async () => {
  const there: Record<string, 'some' | ApiError> = { Service: 'some', TLSRoute: notServed };
  const { watch, listed, watched } = watching(there);
  expect(await watch.extend()).toBe(true);
  await until(async () => watched.length === 2);
  expect(watched.sort()).toEqual(['Pod', 'Service']);
  const asked = (kind: string) => listed.filter((each) => each === kind).length;
  expect([asked('Ingress'), asked('TLSRoute')]).toEqual([1, 1]);
  expect(await watch.extend()).toBe(false);
  there.Ingress = 'some';
  expect(await watch.extend()).toBe(true);
  await until(async () => watched.length === 3);
  expect(watched).toContain('Ingress');
  expect(await watch.extend()).toBe(false);
  expect(watch.broken).toBe(false);
});

test('a kind of which nobody knows whether there are objects is watched, and one that may not be makes the watch anew', async () => {
  const { watch, watched } = watching({ Secret: forbidden });
  expect(await watch.extend()).toBe(true);
  await until(async () => watch.broken);
  expect(watched).toEqual(['Pod']);
});
