import { expect, test } from 'vitest';
import type { ContainerStatus, Event, Pod } from '../kube/objects.ts';
import { containersOf } from '../plane/components/lookup.ts';
import { describeProblem, hasSucceeded, makesPodsOf, podProblems, refusalOf } from './pod-problems.ts';

const own = containersOf('kube-apiserver');
const container = (name: string, state: ContainerStatus['state'], more: Partial<ContainerStatus> = {}) => ({
  name,
  ready: false,
  restartCount: 0,
  image: 'i',
  state,
  ...more,
});
const fine = (name: string) => container(name, { running: {} }, { ready: true });
const pod = (status: Pod['status']): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'kube-apiserver-1' },
  spec: { containers: [] },
  status,
});
const words = (status: Pod['status']) =>
  podProblems(pod(status), own).map((each) => describeProblem(each, { component: own[0] }));

test('nothing ails a pod of which all containers are ready, nor one that has done its work', () => {
  expect(podProblems(pod({ containerStatuses: own.map(fine) }), own)).toEqual([]);
  expect(words({ containerStatuses: [container('kube-apiserver', { terminated: { exitCode: 0 } })] })).toEqual([]);
});

test.each(['ErrImagePull', 'ImagePullBackOff', 'InvalidImageName', 'CreateContainerConfigError', 'RunContainerError'])(
  'no waiting mends %s',
  (reason) => {
    const [problem] = podProblems(
      pod({ containerStatuses: [container('kube-apiserver', { waiting: { reason } })] }),
      own,
    );
    expect(problem).toMatchObject({ hopeless: true, added: false, says: expect.stringContaining(reason) });
  },
);

test('P3: a container that a policy added is named as one, wherever it stands in the pod', () => {
  const crashing = container('istio-proxy', { waiting: { reason: 'CrashLoopBackOff' } });
  for (const containerStatuses of [
    [crashing, fine('kube-apiserver')],
    [fine('kube-apiserver'), crashing],
  ]) {
    expect(podProblems(pod({ containerStatuses }), own)).toEqual([
      expect.objectContaining({ kind: 'crash-loop', added: true }),
    ]);
    expect(words({ containerStatuses })).toEqual([expect.stringMatching(/"istio-proxy".*k8sk8s did not put/)]);
  }
});

test('of two problems the graver one comes first, and then what is k8sk8s’s own', () => {
  const waiting = (name: string) => container(name, { waiting: { reason: 'CrashLoopBackOff' } });
  const pulls = container('istio-proxy', { waiting: { reason: 'ImagePullBackOff' } });
  const names = (containerStatuses: ContainerStatus[]) =>
    podProblems(pod({ containerStatuses }), own).map((each) => each.container?.name);
  expect(names([waiting('istio-proxy'), waiting('kube-apiserver')])).toEqual(['kube-apiserver', 'istio-proxy']);
  expect(names([waiting('kube-apiserver'), pulls])).toEqual(['istio-proxy', 'kube-apiserver']);
});

test("a container of k8sk8s that is not the component's own is named", () => {
  const containerStatuses = [fine('kube-apiserver'), container('kube-apiserver-egress', { running: {} })];
  expect(words({ containerStatuses })).toEqual([expect.stringMatching(/^kube-apiserver-egress: /)]);
});

test('a pod that no node takes is told with what a node of its cluster is called', () => {
  const [problem] = podProblems(
    pod({ conditions: [{ type: 'PodScheduled', status: 'False', message: 'no room' }] }),
    own,
  );
  expect(describeProblem(problem!)).toMatch(/infra node .*: no room/);
  expect(describeProblem(problem!, { node: 'worker' })).toMatch(/worker .*: no room/);
});

test('an init container that runs is at work', () => {
  const initContainerStatuses = [container('receive', { running: {} })];
  const containerStatuses = [container('kube-apiserver', { waiting: { reason: 'PodInitializing' } })];
  const problems = podProblems(pod({ initContainerStatuses, containerStatuses }), [...own, 'receive']);
  expect(problems[0]).toMatchObject({ kind: 'waiting', says: expect.stringContaining('receive') });
});

test('a container has succeeded whatever became of the others', () => {
  const done = container('etcd', { terminated: { exitCode: 0 } });
  expect(hasSucceeded(pod({ containerStatuses: [fine('istio-proxy'), done] }), 'etcd')).toBe(true);
  expect(hasSucceeded(pod({ containerStatuses: [done] }), 'istio-proxy')).toBe(false);
});

test('the newest refusal of a workload is told, and none of another', () => {
  const event = (name: string, second: number): Event => ({
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${name}.${second}` },
    reason: 'FailedCreate',
    message: `no ${second}`,
    involvedObject: { kind: 'ReplicaSet', name },
    lastTimestamp: `2026-01-01T00:00:0${second}Z`,
  });
  const events = [event('kube-scheduler-7f9c', 1), event('kube-scheduler-7f9c', 3), event('kube-scheduler-x-7f9c', 5)];
  expect(refusalOf('kube-scheduler', events)).toBe('no 3');
  expect(refusalOf('etcd', events)).toBeUndefined();
  expect(makesPodsOf('kube-scheduler', 'kube-scheduler')).toBe(true);
});

test("of a container that ended with its log as its message, klog's last error is told", () => {
  const message =
    'I1201 02:33:01 main.go:1] begins\nE1201 02:33:02 main.go:2] no lease: "10.9.0.0/16" lacks it\nI1201 02:33:02 main.go:3] stops\n';
  const crashing = (terminated: object) =>
    container(
      'kube-apiserver',
      { waiting: { reason: 'CrashLoopBackOff' } },
      {
        lastState: { terminated: { exitCode: 1, ...terminated } },
      },
    );
  const [told] = words({ containerStatuses: [crashing({ message })] });
  expect(told).toContain('no lease');
  expect(told).not.toContain('stops');
  expect(words({ containerStatuses: [crashing({ message: 'one line' })] })).toEqual([
    expect.stringMatching(/: one line$/),
  ]);
  expect(words({ containerStatuses: [crashing({})] })).toEqual([expect.stringMatching(/exit code 1$/)]);
});
