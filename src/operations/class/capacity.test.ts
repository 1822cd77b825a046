import { expect, test } from 'vitest';
import { parseSpec } from '../../config/parse.ts';
import type { Pod } from '../../kube/objects.ts';
import { fitting, freeRoom, type NodeRoom, roomOfPlane } from './capacity.ts';

const node = (name: string, spec: NodeRoom['spec'] = {}): NodeRoom => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name },
  spec,
  status: { allocatable: { pods: '110', cpu: '4', memory: '16Gi' } },
});
const pod = (nodeName: string | undefined, phase = 'Running') =>
  ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { nodeName, containers: [{ name: 'c', resources: { requests: { cpu: '500m', memory: '1Gi' } } }] },
    status: { phase },
  }) as unknown as Pod;
const plane = (options: object = {}) =>
  roomOfPlane(parseSpec({ host: 'k.example.com', profile: 'lite', ...options }, 'in a test'));

test('a node of 110 pods takes 27 planes, and fewer beside others', () => {
  expect(plane().pods).toBe(4);
  expect(fitting(freeRoom([node('a')], []), Array(40).fill(plane()))).toEqual({ count: 27, lacks: 'pods' });
  const pods = [pod('a'), pod('a', 'Succeeded'), pod('b')];
  expect(freeRoom([node('a'), node('b', { unschedulable: true })], pods)).toEqual({
    pods: 109,
    cpu: 3.5,
    memory: 15 * 2 ** 30,
    waiting: 0,
  });
  expect(freeRoom([node('a', { taints: [{ effect: 'NoSchedule' }] })], []).pods).toBe(0);
});

test('pods that wait for a node take their room first, unless they never run', () => {
  const waiting = () => pod(undefined, 'Pending');
  const [gated, going, huge] = [waiting(), waiting(), waiting()];
  Object.assign(gated.spec, { schedulingGates: [{ name: 'later' }] });
  going.metadata.deletionTimestamp = '2026-12-01T00:00:00Z';
  Object.assign(huge.spec.containers[0]!, { resources: { requests: { memory: '64Gi' } } });
  const left = { pods: 107, cpu: 2.5, memory: 13 * 2 ** 30, waiting: 2 };
  expect(freeRoom([node('a')], [pod('a'), waiting(), waiting(), gated, going, huge])).toEqual(left);
  // More wait than there is room.
  expect(freeRoom([node('a')], Array(20).fill(waiting()))).toMatchObject({ cpu: 0, memory: 0, waiting: 20 });
});

test('requests of cpu and memory may be short first', () => {
  const free = { pods: 110, cpu: 4, memory: 2 ** 30 };
  expect(fitting(free, Array(9).fill(plane()))).toEqual({ count: 2, lacks: 'memory' });
  expect(fitting({ ...free, cpu: 0.1, memory: 2 ** 40 }, Array(9).fill(plane()))).toEqual({ count: 1, lacks: 'cpu' });
  expect(fitting(free, [plane()])).toEqual({ count: 1 });
});
