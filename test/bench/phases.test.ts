import { expect, test } from 'vitest';
import { deploySteps } from '../../src/operations/deploy/steps.ts';
import { logTime, phasesOf } from './phases.ts';

const steps = [
  { name: 'record', from: 430, to: 450 },
  { name: 'addresses', from: 450, to: 501 },
  { name: 'certificates', from: 501, to: 521 },
  { name: 'control-plane', from: 530, to: 1210 },
  { name: 'available', from: 1210, to: 4000 },
  { name: 'addons', from: 4001, to: 4300 },
  { name: 'kubeconfigs', from: 4300, to: 4400 },
  { name: 'components-ready', from: 4400, to: 4700 },
];

test('a deploy is divided into its phases', () => {
  const phases = phasesOf(
    { began: 200, end: 4800, steps },
    { etcd: { runs: 1200, serves: 1500 }, 'kube-apiserver': { runs: 1600, serves: 3500 } },
  );
  expect(Object.fromEntries(phases.map(({ name, from, to }) => [name, [from, to]]))).toEqual({
    'process start': [0, 200],
    preflight: [200, 430],
    address: [450, 501],
    certificates: [501, 521],
    'etcd: volume, pod and container': [530, 1200],
    'etcd: serves': [1200, 1500],
    'API server: pod and container': [1210, 1600],
    'API server: serves': [1600, 3500],
    'API server: ready': [3500, 4000],
    'child assets': [4001, 4300],
    kubeconfigs: [4300, 4400],
    'all components ready': [4400, 4800],
  });
});

test('the steps are those that deploy has', () => {
  expect(deploySteps.map(({ name }) => name)).toEqual(expect.arrayContaining(steps.map(({ name }) => name)));
});

test('what was not seen is left out', () => {
  const phases = phasesOf({ began: 10, end: 20, steps: [] }, {});
  expect(phases.map(({ name }) => name)).toEqual(['process start']);
});

test('reads the kubelet’s time of a log line', () => {
  const log = '2026-01-01T00:00:01.500000000Z starting\n2026-01-01T00:00:02.250000000Z ready to serve client requests';
  const started = Date.parse('2026-01-01T00:00:00Z');
  expect(logTime(log, /ready to serve/, started)).toBe(2250);
  expect(logTime(log, /no such line/, started)).toBeUndefined();
});
