import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ApiError } from '../kube/errors.ts';
import type { ApiRequest } from '../kube/exchange.ts';
import { HostedCluster } from '../kube/hosted-cluster.ts';
import type { KubeObject } from '../kube/objects.ts';
import { Transport } from '../kube/transport.ts';
import { nothingApplied } from '../live/apply.ts';
import { quietReporter } from '../ui/quiet.ts';
import { applyAddons } from './apply.ts';

class Answering extends Transport {
  readonly requests: ApiRequest[] = [];
  most = 0;
  #now = 0;
  readonly #answer: (request: ApiRequest) => unknown;

  constructor(answer: (request: ApiRequest) => unknown) {
    super({ server: 'https://hosted.test' }, 'hosted');
    this.#answer = answer;
  }

  override async request<T>(request: ApiRequest): Promise<{ status: number; body: T }> {
    this.requests.push(request);
    this.most = Math.max(this.most, ++this.#now);
    await sleep(2);
    this.#now--;
    return { status: 200, body: this.#answer(request) as T };
  }
}

const objects: KubeObject[] = Array.from({ length: 60 }, (_, number) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: `asset-${number}`, namespace: 'kube-system' },
}));

test('assets go to the hosted cluster some at a time', async () => {
  const transport = new Answering(({ body }) => body ?? objects[0]);
  const work = { reporter: quietReporter, signal: new AbortController().signal };
  await applyAddons(new HostedCluster(transport), objects, nothingApplied(), work);
  expect(transport.requests.filter(({ method }) => method === 'PATCH')).toHaveLength(60);
  expect(transport.most).toBeLessThanOrEqual(16);
});

test('after an interruption nothing more is sent, also where the server asks for patience', async () => {
  const interruption = new AbortController();
  const reason = new Error('interrupted by SIGINT');
  const work = { reporter: quietReporter, signal: interruption.signal };
  const early = new Answering(({ method, body }) => {
    if (method === 'GET') return body;
    throw new ApiError({
      status: 404,
      reason: 'NotFound',
      message: 'namespaces "kube-system" not found',
      of: 'hosted',
    });
  });
  const run = applyAddons(new HostedCluster(early), objects, nothingApplied(), work).catch((error) => error);
  await sleep(30);
  interruption.abort(reason);
  expect(await Promise.race([run, sleep(2000)])).toBe(reason);
  const sent = early.requests.length;
  await sleep(300);
  expect(early.requests.length).toBeLessThanOrEqual(sent + 16);
});

test('objects of a network driver are of any kind, which the API server knows, and without a namespace in default', async () => {
  const transport = new Answering(({ method, path, body }) => {
    if (method === 'PATCH') return body;
    if (path === '/apis/net.example.com/v1')
      return {
        resources: [
          { name: 'pools/status', kind: 'Pool', namespaced: false },
          { name: 'pools', kind: 'Pool', namespaced: false },
          { name: 'peers', kind: 'Peer', namespaced: true },
        ],
      };
    throw new ApiError({ status: 404, reason: 'NotFound', message: 'not found', of: 'hosted' });
  });
  const own = (kind: string) => ({ apiVersion: 'net.example.com/v1', kind, metadata: { name: 'a' } });
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'a' } };
  const work = { reporter: quietReporter, signal: new AbortController().signal };
  await applyAddons(new HostedCluster(transport), [own('Pool'), own('Peer'), account], nothingApplied(), work);
  expect(transport.requests.flatMap(({ method, path }) => (method === 'PATCH' ? path : [])).sort()).toEqual([
    '/api/v1/namespaces/default/serviceaccounts/a',
    '/apis/net.example.com/v1/namespaces/default/peers/a',
    '/apis/net.example.com/v1/pools/a',
  ]);
});
