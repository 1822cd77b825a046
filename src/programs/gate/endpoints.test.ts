import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Api } from '../connect-proxy/api.ts';
import { type Entries, keepEndpoints, withoutPod, withPod } from './endpoints.ts';

const self = { pod: 'kube-apiserver-b', address: '192.0.2.7', port: 31234 };
const now = 1_000_000;
const other = (renewed: number, address = '192.0.2.7'): Entries => ({ 'kube-apiserver-a': { address, renewed } });

test('an API server says that it serves, again after a while, and leaves out what is silent', () => {
  const own = { 'kube-apiserver-b': { address: '192.0.2.7', renewed: now } };
  expect(withPod({}, self, now)).toEqual(own);
  expect(withPod(own, self, now + 5)).toBeUndefined();
  expect(withPod(own, self, now + 12)).toEqual({ 'kube-apiserver-b': { address: '192.0.2.7', renewed: now + 12 } });
  expect(withPod({ ...own, ...other(now - 5) }, self, now + 5)).toBeUndefined();
  expect(withPod({ ...own, ...other(now - 60) }, self, now + 5)).toEqual({
    'kube-apiserver-b': { address: '192.0.2.7', renewed: now + 5 },
  });
  expect(withPod({ ...own, ...other(now + 9999) }, self, now + 5), 'a time in the future').not.toHaveProperty(
    'kube-apiserver-a',
  );
});

test('who ends leaves the list, unless nobody else is in it', () => {
  const own = { 'kube-apiserver-b': { address: '192.0.2.7', renewed: now } };
  expect(withoutPod(own, self, now)).toBeUndefined();
  expect(withoutPod({ ...own, ...other(now - 60) }, self, now), 'the other one is silent').toBeUndefined();
  expect(withoutPod({ ...own, ...other(now - 5, '192.0.2.8') }, self, now)).toEqual(other(now - 5, '192.0.2.8'));
});

/** An API that holds the two objects, as an API server does. */
function fakeApi() {
  const objects = new Map<string, { metadata: { resourceVersion?: string } }>();
  let version = 0;
  const api = {
    find: async (path: string) => objects.get(path),
    write: async (method: string, path: string, object: { metadata: { resourceVersion?: string } }) => {
      const at = method === 'POST' ? `${path}/kubernetes` : path;
      if (objects.get(at)?.metadata.resourceVersion !== object.metadata.resourceVersion) throw new Error('conflict');
      objects.set(at, { ...object, metadata: { ...object.metadata, resourceVersion: `${++version}` } });
    },
  } as unknown as Api;
  const shown = () => {
    const slice = [...objects].find(([path]) => path.includes('endpointslices'))?.[1] as unknown as {
      endpoints: { addresses: string[] }[];
    };
    return slice?.endpoints.flatMap(({ addresses }) => addresses);
  };
  /** What those see who still read Endpoints. */
  const legacy = () => {
    const found = objects.get('/api/v1/namespaces/default/endpoints/kubernetes') as unknown as {
      subsets: { addresses: { ip: string }[] }[];
    };
    return found?.subsets.flatMap(({ addresses }) => addresses.map(({ ip }) => ip));
  };
  return { api, objects, shown, legacy };
}

test('the list is never empty while one API server follows another at the same address, and is mended when emptied', async () => {
  const { api, objects, shown } = fakeApi();
  const [first, second] = [new AbortController(), new AbortController()];
  onTestFinished(() => second.abort());
  const quiet = () => undefined;
  const old = keepEndpoints(api, { ...self, pod: 'kube-apiserver-a' }, first.signal, quiet);
  await vi.waitFor(() => expect(shown()).toEqual(['192.0.2.7']));
  void keepEndpoints(api, self, second.signal, quiet);
  await sleep(50);
  first.abort();
  await old;
  expect(shown()).toEqual(['192.0.2.7']);
  const [path, slice] = [...objects].find(([each]) => each.includes('endpointslices'))!;
  objects.set(path, { ...slice, ...{ endpoints: null } });
  await vi.waitFor(() => expect(shown()).toEqual(['192.0.2.7']), 3000);
});

test('a write of Endpoints that failed is made up for, at the next look and by another process', async () => {
  const { api, objects, shown, legacy } = fakeApi();
  const [first, second] = [new AbortController(), new AbortController()];
  onTestFinished(() => second.abort());
  const said: string[] = [];
  const refusing: Api = {
    ...api,
    write: async (method, path, object) => {
      if (path.endsWith('/endpoints') && said.length === 0) throw new Error('no answer in time');
      return api.write(method, path, object);
    },
  };
  const keeping = keepEndpoints(refusing, self, first.signal, (words) => said.push(words));
  await vi.waitFor(() => expect(legacy()).toEqual([self.address]), 3000);
  expect(said).toEqual(['no answer in time']);
  first.abort();
  await keeping;
  objects.delete('/api/v1/namespaces/default/endpoints/kubernetes');
  void keepEndpoints(api, self, second.signal, () => undefined);
  await vi.waitFor(() => expect(legacy()).toEqual(shown()), 3000);
});
