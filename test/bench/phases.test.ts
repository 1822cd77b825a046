import { expect, test } from 'vitest';
import { logTime, phasesOf } from './phases.ts';

const lines = [
  [200, 'k8sk8s 0.1.0 at https://10.0.0.1:6443'],
  [400, 'CHECK: Access to cluster confirmed'],
  [410, 'CHECK: The quota has room for the control plane'],
  [500, 'service "apiserver" created'],
  [501, 'ingress "k8s-on-k8s" created'],
  [520, 'certificate ca issued'],
  [521, 'certificate apiserver issued'],
  [600, 'secret "etcd" created'],
  [650, 'statefulset "etcd" created'],
  [651, 'Starting etcd: etcd: waiting for a node and its volume (1 ms)'],
  [900, 'Starting etcd: etcd: starting registry.k8s.io/etcd:3.7.3-0 (250 ms)'],
  [1210, 'deployment "kube-apiserver" created'],
  [3600, 'deployment "kube-scheduler" created'],
  [4000, 'AVAILABLE ! (3.3 s)'],
  [4200, 'daemonset "kube-proxy" created'],
  [4300, 'service "kube-dns" created'],
  [4400, 'file "tls/kubeconfig" created'],
] as const;

test('a deploy is told apart into the pieces that it took', () => {
  const phases = phasesOf(
    lines.map(([at, text]) => ({ at, text })),
    { etcd: { runs: 1200, serves: 1500 }, 'kube-apiserver': { runs: 1600, serves: 3500 } },
    4800,
  );
  expect(Object.fromEntries(phases.map(({ name, from, to }) => [name, [from, to]]))).toEqual({
    'process start': [0, 200],
    preflight: [200, 410],
    address: [410, 501],
    certificates: [501, 521],
    apply: [521, 650],
    'etcd: node and volume': [650, 900],
    'etcd: pod and container': [900, 1200],
    'etcd: serves': [1200, 1500],
    'API server: pod and container': [1210, 1600],
    'API server: serves': [1600, 3500],
    'API server: ready': [3500, 4000],
    'child assets': [4000, 4300],
    kubeconfigs: [4300, 4400],
    'all components ready': [4400, 4800],
  });
});

test('what was not seen is left out', () => {
  const phases = phasesOf([{ at: 10, text: 'CHECK: x' }], {}, 20);
  expect(phases.map(({ name }) => name)).toEqual(['process start', 'preflight']);
});

test('reads the kubelet’s time of a log line', () => {
  const log = '2026-01-01T00:00:01.500000000Z starting\n2026-01-01T00:00:02.250000000Z ready to serve client requests';
  const started = Date.parse('2026-01-01T00:00:00Z');
  expect(logTime(log, /ready to serve/, started)).toBe(2250);
  expect(logTime(log, /no such line/, started)).toBeUndefined();
});
