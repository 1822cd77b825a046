import { expect, test } from 'vitest';
import { decide, type NodeAddresses, type SigningRequest } from './decide.ts';
import type { CertificateRequest } from './request.ts';

const node = (name: string, ...addresses: string[]): NodeAddresses => ({
  metadata: { name },
  status: {
    addresses: [{ type: 'Hostname', address: name }, ...addresses.map((address) => ({ type: 'InternalIP', address }))],
  },
});
const nodes = [node('worker-1', '10.0.0.1', 'fd00::1'), node('worker-2', '10.0.0.2')];
const spec: SigningRequest['spec'] = {
  request: '',
  signerName: 'kubernetes.io/kubelet-serving',
  username: 'system:node:worker-1',
  groups: ['system:nodes', 'system:authenticated'],
  usages: ['digital signature', 'server auth'],
};
const request: CertificateRequest = {
  commonName: 'system:node:worker-1',
  organizations: ['system:nodes'],
  otherNames: 0,
  dnsNames: ['worker-1'],
  ipAddresses: ['10.0.0.1'],
  otherSans: 0,
};

const judge = (
  change: {
    spec?: Partial<SigningRequest['spec']>;
    request?: Partial<CertificateRequest>;
    nodes?: NodeAddresses[];
  } = {},
) =>
  decide(
    { metadata: { name: 'csr-1' }, spec: { ...spec, ...change.spec } },
    { ...request, ...change.request },
    change.nodes ?? nodes,
  );

test("a node's own request for its own names is approved", () => {
  expect(judge()).toEqual({ verdict: 'approve', node: 'worker-1' });
  expect(judge({ spec: { usages: ['key encipherment', 'server auth', 'digital signature'] } }).verdict).toBe('approve');
  expect(judge({ request: { ipAddresses: ['10.0.0.1', 'fd00:0:0:0:0:0:0:1'], dnsNames: [] } }).verdict).toBe('approve');
});

test.each([
  ['another signer', { spec: { signerName: 'kubernetes.io/kube-apiserver-client' } }, 'the signer is'],
  ["another node's name", { request: { commonName: 'system:node:worker-2' } }, 'made by system:node:worker-1'],
  ['a user who is no node', { spec: { username: 'jane' }, request: { commonName: 'jane' } }, "not a node's"],
  ['a user outside the group', { spec: { groups: ['system:authenticated'] } }, 'not in system:nodes'],
  ['another organisation', { request: { organizations: ['system:masters'] } }, 'not exactly O=system:nodes'],
  ['one more organisation', { request: { organizations: ['system:nodes', 'system:masters'] } }, 'not exactly'],
  ['more in the subject', { request: { otherNames: 1 } }, 'not exactly'],
  ['a client certificate', { spec: { usages: ['digital signature', 'client auth'] } }, 'usages'],
  ['one more usage', { spec: { usages: ['digital signature', 'server auth', 'client auth'] } }, 'usages'],
  ['no name at all', { request: { dnsNames: [], ipAddresses: [] } }, 'no name'],
  ['a name that is no address', { request: { otherSans: 1 } }, 'neither DNS names'],
  [
    "another node's address",
    { request: { ipAddresses: ['10.0.0.1', '10.0.0.2'] } },
    '10.0.0.2 is not of node worker-1',
  ],
  ['a foreign name', { request: { dnsNames: ['kubernetes.default.svc'] } }, 'kubernetes.default.svc is not of'],
  ['an address that two nodes claim', { nodes: [...nodes, node('worker-3', '10.0.0.1')] }, 'worker-3 claims'],
])('%s is refused', (_, change, words) => {
  const decision = judge(change);
  expect(decision.verdict).toBe('refuse');
  expect('reason' in decision && decision.reason).toContain(words);
});

test('a node that is not there yet, or has no addresses yet, is waited for', () => {
  expect(judge({ nodes: [nodes[1]!] }).verdict).toBe('wait');
  expect(judge({ nodes: [{ metadata: { name: 'worker-1' } }] }).verdict).toBe('wait');
});
