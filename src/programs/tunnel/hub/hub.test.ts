import { X509Certificate } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { type Credential, createAuthority, issueLeaf } from '../../../pki/issue.ts';
import { nodeOf } from './door.ts';
import { hubsIn } from './hubs.ts';
import { addressesIn } from './proof.ts';

let ca: Credential;
beforeAll(async () => {
  ca = await createAuthority('kubelet-serving-ca');
});

test.each([
  [{ CN: 'system:node:worker-1', O: 'system:nodes' }, 'worker-1'],
  [{ CN: 'system:node:worker-1.example.com', O: 'system:nodes' }, 'worker-1.example.com'],
  [{ CN: 'system:node:worker-1', O: 'system:masters' }, undefined],
  [{ CN: 'system:node:worker-1', O: ['system:nodes', 'system:masters'] }, undefined],
  [{ CN: ['system:node:a', 'system:node:b'], O: 'system:nodes' }, undefined],
  [{ CN: 'system:node:', O: 'system:nodes' }, undefined],
  [{ CN: 'admin', O: 'system:nodes' }, undefined],
  [undefined, undefined],
])('%j is node %s', (subject, node) => {
  expect(nodeOf(subject)).toBe(node);
});

async function serving(commonName: string, names: { ipAddresses?: string[]; dnsNames?: string[] }) {
  const { certificate } = await issueLeaf(ca, {
    commonName,
    organizations: ['system:nodes'],
    usages: ['serverAuth'],
    ...names,
  });
  return new X509Certificate(certificate);
}

test('the addresses of a kubelet are those in its certificate', async () => {
  const certificate = await serving('system:node:a', { ipAddresses: ['192.0.2.1', '192.0.2.2'], dnsNames: ['a'] });
  expect(addressesIn(certificate, 'a')).toEqual(new Set(['192.0.2.1', '192.0.2.2']));
});

test('a certificate of a thousand addresses proves a few', async () => {
  const ipAddresses = Array.from({ length: 1000 }, (_, index) => `192.0.${index >> 8}.${index & 255}`);
  expect(addressesIn(await serving('system:node:a', { ipAddresses }), 'a').size).toBe(16);
});

test("another node's certificate proves nothing", async () => {
  const certificate = await serving('system:node:a', { ipAddresses: ['192.0.2.1'] });
  for (const node of ['b', 'a.example.com', '']) expect(() => addressesIn(certificate, node)).toThrow('system:node:a');
});

test.each([
  ['{"kube-apiserver-1":{"address":"192.0.2.1"},"kube-apiserver-2":{}}', ['kube-apiserver-1', 'kube-apiserver-2']],
  [undefined, []],
  ['{', []],
  ['{"A":{},"../x":{},"":{}}', []],
  [JSON.stringify(Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`h${index}`, {}]))), 8],
])('hubs of %s', (written, hubs) => {
  if (typeof hubs === 'number') expect(hubsIn(written)).toHaveLength(hubs);
  else expect(hubsIn(written)).toEqual(hubs);
});
