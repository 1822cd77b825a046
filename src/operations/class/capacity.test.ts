import { expect, test } from 'vitest';
import { parseSpec } from '../../config/parse.ts';
import type { Pod } from '../../kube/objects.ts';
import { freePods, type PodRoom, podsOfPlane } from './capacity.ts';

const node = (name: string, spec: PodRoom['spec'] = {}): PodRoom => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name },
  spec,
  status: { allocatable: { pods: '110' } },
});
const pod = (nodeName: string | undefined, phase = 'Running'): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p' },
  spec: { nodeName, containers: [] },
  status: { phase },
});

test('a node of 110 pods takes 27 planes, and fewer beside others', () => {
  const plane = podsOfPlane(parseSpec({ host: 'k.example.com', profile: 'lite' }, 'in a test'));
  expect(Math.floor(freePods([node('a')], []) / plane)).toBe(27);
  const pods = [pod('a'), pod('a', 'Succeeded'), pod('b'), pod(undefined)];
  expect(freePods([node('a'), node('b', { unschedulable: true })], pods)).toBe(109);
  expect(freePods([node('a', { taints: [{ effect: 'NoSchedule' }] })], [])).toBe(0);
});
