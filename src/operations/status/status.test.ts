import { expect, test } from 'vitest';
import { refused } from '../../../test/refused.ts';
import { workerStatus } from '../../hosted/workers.ts';
import type { Event, Node, Pod } from '../../kube/objects.ts';
import { componentStatus } from './component-status.ts';
import { problemsOf } from './problems.ts';
import { warningsOf } from './warnings.ts';

const pod = (status: Pod['status'], name = 'etcd-0'): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'team', labels: { 'app.kubernetes.io/name': 'etcd' } },
  spec: { containers: [{ name: 'etcd', image: 'etcd:1' }] },
  status,
});
const container = { name: 'etcd', ready: false, restartCount: 0, image: 'etcd:1' };
const event = (reason: string, name: string, second: number): Event => ({
  apiVersion: 'v1',
  kind: 'Event',
  metadata: { name: `${name}.${second}` },
  type: 'Warning',
  reason,
  message: `${reason} ${second}\nmore`,
  involvedObject: { kind: 'StatefulSet', name },
  lastTimestamp: `2026-01-01T00:00:0${second}Z`,
});

test('a component is as ready as all its pods, and those that have ended do not count', () => {
  const ready = pod({ containerStatuses: [{ ...container, ready: true, restartCount: 2 }] });
  expect(componentStatus('etcd', [ready, pod({ phase: 'Failed' })], [])).toMatchObject({ ready: true, restarts: 2 });
  expect(componentStatus('etcd', [ready, pod({ containerStatuses: [container] })], [])).toMatchObject({ ready: false });
});

test.each([
  ['has no pod', [], 'it has no pod'],
  [
    'fits on no node',
    [pod({ conditions: [{ type: 'PodScheduled', status: 'False', message: 'no room' }] })],
    'no infra node takes its pod: no room',
  ],
  [
    'crashes',
    [
      pod({
        containerStatuses: [
          {
            ...container,
            state: { waiting: { reason: 'CrashLoopBackOff' } },
            lastState: { terminated: { exitCode: 137, reason: 'OOMKilled' } },
          },
        ],
      }),
    ],
    'CrashLoopBackOff: it ended with exit code 137 (out of memory)',
  ],
  [
    'runs and is not ready',
    [pod({ containerStatuses: [{ ...container, state: { running: {} } }] })],
    'it runs, and does not answer its probe yet',
  ],
] as [string, Pod[], string][])('a component that %s says so', (_, pods, problem) => {
  expect(componentStatus('etcd', pods, []).problem).toBe(problem);
});

test('a pod that could not even be made is explained by the newest refusal', () => {
  const events = [
    event('FailedCreate', 'etcd', 1),
    event('FailedCreate', 'etcd', 2),
    event('FailedCreate', 'other', 3),
  ];
  expect(componentStatus('etcd', [], events).problem).toContain('FailedCreate 2');
});

test('warnings are the last five about the pods that there are, in one line each', () => {
  const events = [1, 2, 3, 4, 5, 6].map((second) => event('Unhealthy', 'etcd-0', second));
  const warnings = warningsOf([...events, event('Unhealthy', 'another', 7)], [pod({})]);
  expect(warnings.map(({ message }) => message)).toEqual([6, 5, 4, 3, 2].map((second) => `Unhealthy ${second}`));
});

test('probes that failed before a pod was ready are no warnings, unless it restarted since', () => {
  const events = [2, 4].map((second) => event('Unhealthy', 'etcd-0', second));
  const seen = (restartCount: number, status: string) =>
    warningsOf(events, [
      pod({
        conditions: [{ type: 'Ready', status, lastTransitionTime: '2026-01-01T00:00:03Z' }],
        containerStatuses: [{ ...container, ready: true, restartCount }],
      }),
    ]).map(({ message }) => message);
  expect(seen(0, 'True')).toEqual(['Unhealthy 4']);
  expect(seen(1, 'True')).toEqual(['Unhealthy 4', 'Unhealthy 2']);
  expect(seen(0, 'False')).toEqual(['Unhealthy 4', 'Unhealthy 2']);
});

test('a worker that is not Ready says why', () => {
  const node = (conditions: { type: string; status: string; reason?: string }[]): Node => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'w' },
    status: { conditions },
  });
  expect(workerStatus(node([{ type: 'Ready', status: 'Unknown', reason: 'NodeStatusUnknown' }]))).toMatchObject({
    ready: false,
    problem: 'NodeStatusUnknown',
  });
  expect(workerStatus(node([]))).toMatchObject({ ready: false, problem: 'it has not reported yet' });
});

const healthy = {
  namespace: 'team',
  phase: 'available' as const,
  components: [],
  alarms: [],
  hosted: { answers: true, workers: [], lacks: [] },
  certificates: [],
};

test('a full etcd is a problem, and what to do stands beside it', () => {
  expect(problemsOf({ ...healthy, alarms: ['NOSPACE'] })).toEqual([
    refused('etcd-full', 'NOSPACE', 'k8sk8s etcd defrag -n team'),
  ]);
});

test('a repair of etcd that was interrupted is told', () => {
  expect(problemsOf({ ...healthy, unfinished: ['etcd-repair'] })).toEqual([
    refused('etcd-member', 'k8sk8s etcd repair -n team'),
  ]);
  expect(problemsOf({ ...healthy, unfinished: ['encrypt-rotate'] })).toEqual([]);
});

test('certificates near their end are a problem, and what to do stands beside it', () => {
  const problems = problemsOf({
    ...healthy,
    certificates: [
      { name: 'a', days: -1 },
      { name: 'b', days: 29 },
      { name: 'c', days: 30 },
    ],
  });
  expect(problems).toEqual([
    refused('certificate-expires', 'certificate a ', 'k8sk8s deploy -n team'),
    refused('certificate-expires', 'certificate b ', '29 days', 'k8sk8s deploy -n team'),
  ]);
  expect(problems.map(({ severity }) => severity)).toEqual(['fatal', 'warning']);
});

test('a plane that sleeps has no pods, and nothing is wrong with that', () => {
  const etcd = componentStatus('etcd', [], []);
  const status = { ...healthy, components: [etcd], hosted: { answers: false, workers: [], lacks: [] } };
  expect(problemsOf(status)).toEqual([refused('component-not-ready', 'etcd', 'it has no pod')]);
  const asleep = { ...status, asleep: '2026-01-01T00:00:00Z' };
  expect(problemsOf(asleep)).toEqual([]);
  const half = { ...asleep, components: [{ ...etcd, since: '2026-01-01T00:00:01Z' }] };
  expect(problemsOf(half)).toEqual([refused('plane-asleep', 'etcd', 'k8sk8s wake -n team', 'k8sk8s sleep -n team')]);
});
