import { expect, test } from 'vitest';
import type { Pod } from '../kube/objects.ts';
import { isAuditEvent, LogProgress } from './logs.ts';

const pod = (uid: string, restartCount: number, running = true): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'etcd-0', uid },
  spec: { containers: [] },
  status: {
    containerStatuses: [{ name: 'etcd', ready: true, image: '', restartCount, state: running ? { running: {} } : {} }],
  },
});
const line = (second: number, text: string) => `2026-01-01T00:00:0${second}.000000000Z ${text}`;

test('the first log is as long as it was asked for', () => {
  expect(new LogProgress('etcd').begin(pod('a', 0), { tailLines: 3 })).toEqual({
    tailLines: 3,
    sinceSeconds: undefined,
  });
});

test('a stream that broke goes on where it stopped, and tells no line twice', () => {
  const progress = new LogProgress('etcd');
  progress.begin(pod('a', 0), { tailLines: 3 });
  expect(progress.take(line(1, 'one'), false, 1000)).toBe('one');
  expect(progress.begin(pod('a', 0), { tailLines: 3 }, 3000)).toEqual({ sinceSeconds: 7 });
  expect(progress.take(line(1, 'one'), false)).toBeUndefined();
  expect(progress.take(line(2, 'two'), true)).toBe(line(2, 'two'));
});

test('lines of one time are all told, once, and so are those of a node whose clock or time zone goes back', () => {
  const progress = new LogProgress('etcd');
  progress.begin(pod('a', 0), {});
  const told = ['one', 'two', 'three'].map((text) => progress.take(line(1, text), false));
  expect(told).toEqual(['one', 'two', 'three']);
  expect(progress.take('2026-01-01T00:00:00.000000000+01:00 back', false)).toBe('back');
  progress.begin(pod('a', 0), {});
  expect(progress.take('2026-01-01T00:00:00.000000000+01:00 back', false)).toBeUndefined();
  expect(progress.take('2026-01-01T00:00:00.000000000+01:00 again', false)).toBe('again');
});

test.each([
  ['restarted container', pod('a', 1)],
  ['new pod', pod('b', 0)],
])('the log of a %s is told from its beginning', (_, next) => {
  const progress = new LogProgress('etcd');
  progress.begin(pod('a', 0), { tailLines: 3 });
  progress.take(line(5, 'last words'), false);
  expect(progress.hasMore(next)).toBe(true);
  expect(progress.begin(next, { tailLines: 3 })).toEqual({});
});

test('a container that has ended and was told has no more', () => {
  const progress = new LogProgress('etcd');
  progress.begin(pod('a', 0), {});
  expect(progress.hasMore(pod('a', 0, false))).toBe(false);
});

test('audit events are told from the words of the API server, with the time of the line and without', () => {
  const event = '{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","verb":"get"}';
  expect(isAuditEvent(event)).toBe(true);
  expect(isAuditEvent(`2026-05-01T12:00:00.000000000Z ${event}`)).toBe(true);
  expect(isAuditEvent('I0501 12:00:00.000000       1 trace.go:236] Trace')).toBe(false);
  expect(isAuditEvent('{"kind":"Event","apiVersion":"v1"}')).toBe(false);
});
