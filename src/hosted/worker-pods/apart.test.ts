import { expect, test } from 'vitest';
import { plain } from '../../base/words.ts';
import { parseSpec } from '../../config/parse.ts';
import type { Pod } from '../../kube/objects.ts';
import { clashOf, demandApart } from './apart.ts';

const spec = parseSpec({ host: 'k.example.com' }, 'a test');
const pod = (podIP?: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'etcd-0' },
  spec: { containers: [] },
  status: { podIP },
});

test.each([
  ['nothing meets', [pod('10.244.0.7'), pod()], ['10.96.0.0/12', 'fd00::/108'], undefined],
  ['a pod lies in the hosted pod network', [pod('10.244.0.7'), pod('10.2.3.4')], ['10.96.0.0/12'], '10.2.3.4'],
  ['the service networks overlap', [], ['10.0.0.0/8'], '10.0.0.0/8'],
  ['a pod lies in the hosted service network', [pod('10.3.0.9')], [], 'etcd-0'],
])('%s', (_, pods, services, named) => {
  const clash = clashOf(spec, pods, services);
  if (named === undefined) expect(clash).toBeUndefined();
  else expect(plain(clash!.what)).toContain(named);
});

test('a plane whose own pods meet its networks gets no worker pods', () => {
  demandApart(spec, [pod('10.244.0.7')]);
  expect(() => demandApart(spec, [pod('10.2.3.4')])).toThrow(expect.objectContaining({ anchor: 'networks' }));
});
