import { expect, test } from 'vitest';
import { hostedControlPlane } from '../../config/hosted-control-plane.ts';
import { InfraStore } from '../../live/infra-store.fixture.ts';
import { quietReporter } from '../../ui/quiet.ts';
import { endClass } from './end.ts';

test('an object that has a finalizer for a while is waited for, and not told as left', async () => {
  const store = new InfraStore();
  const at = 'hostedcontrolplanes/k8sk8s';
  const object = { ...hostedControlPlane, metadata: { name: 'k8sk8s' }, spec: { host: 'k.example.com' } };
  store.put(at, object);
  const end = performance.now() + 700;
  store.before = ({ method, path }) => {
    const isAsked = method === 'GET' && path.endsWith(at);
    // It was deleted, and somebody takes its finalizer off later.
    if (isAsked && performance.now() < end && !store.get(at))
      store.put(at, { ...object, metadata: { name: 'k8sk8s', deletionTimestamp: '2026-12-01T00:00:00Z' } });
    if (isAsked && performance.now() >= end) store.objects.delete(at);
  };
  const board = { tell: () => undefined, reporterOf: () => quietReporter };
  const signal = new AbortController().signal;
  const anna = { name: 'anna', namespace: 'team', host: 'localhost' };
  const lesson = { cluster: store.cluster, parallel: 1, board, timeout: 30_000, signal };
  expect(await endClass(lesson, 'linux', [anna])).toMatchObject([{ result: { student: 'anna' } }]);
  expect(store.get(at)).toBeUndefined();
});
