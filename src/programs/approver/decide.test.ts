import { expect, test } from 'vitest';
import { decide, type Node, type SigningRequest } from './decide.ts';
import type { CertificateRequest } from './request.ts';

const node = (name: string, ...addresses: string[]): Node => ({
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
  change: { spec?: Partial<SigningRequest['spec']>; request?: Partial<CertificateRequest>; nodes?: Node[] } = {},
) =>
  decide(
    { metadata: { name: 'csr-1' }, spec: { ...spec, ...change.spec } },
    { ...request, ...change.request },
    change.nodes ?? nodes,
  );

test("a node's own request for its own names is approved", () => {
  expect(judge()).toEqual({ approve: true });
  expect(judge({ spec: { usages: ['key encipherment', 'server auth', 'digital signature'] } })).toEqual({
    approve: true,
  });
  expect(judge({ request: { ipAddresses: ['10.0.0.1', 'fd00::1'], dnsNames: [] } })).toEqual({ approve: true });
  expect(judge({ request: { dnsNames: ['Worker-1.'] } })).toEqual({ approve: true });
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
  ['a wildcard', { request: { dnsNames: ['*.worker-1'] } }, 'not the name of one host'],
])('%s is refused for good', (_, change, words) => {
  expect(judge(change)).toEqual({ approve: false, permanent: true, reason: expect.stringContaining(words) });
});

// Nodes change: what is refused because of them is looked at again.
test.each([
  ["another node's address", { request: { ipAddresses: ['10.0.0.1', '10.0.0.2'] } }, 'worker-1 has no 10.0.0.2'],
  ['a foreign name', { request: { dnsNames: ['kubernetes.default.svc'] } }, 'worker-1 has no kubernetes.default.svc'],
  ['an address as a DNS name', { request: { dnsNames: ['10.0.0.1'] } }, 'worker-1 has no 10.0.0.1'],
  ['an address that two nodes claim', { nodes: [...nodes, node('worker-3', '10.0.0.1')] }, 'worker-3 claims 10.0.0.1'],
  ['an address in another spelling', { nodes: [...nodes, node('worker-3', '::ffff:10.0.0.1')] }, 'worker-3 claims'],
  ['a node that is not there yet', { nodes: [nodes[1]!] }, 'there is no node worker-1'],
  ['a node without addresses yet', { nodes: [{ metadata: { name: 'worker-1' } }] }, 'has no addresses yet'],
])('%s is refused as long as the nodes are as they are', (_, change, words) => {
  expect(judge(change)).toEqual({ approve: false, reason: expect.stringContaining(words) });
});
