import { expect, test } from 'vitest';
import { parseSpec } from '../../../config/parse.ts';
import type { Service } from '../../../kube/objects.ts';
import { buildApiserverService, earlierNodePortOf, keptBalancerOf } from './service.ts';

const spec = (nodePort?: number) => parseSpec({ host: 'k.example.com', nodePort }, 'a test');
const service = (ports: [string, number][]): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'apiserver' },
  spec: { ports: ports.map(([name, nodePort]) => ({ name, port: 443, nodePort })) },
});

test.each<[string, [string, number][], number | undefined, number | undefined]>([
  ['no port was asked for: the infra cluster keeps the one that it gave', [['https', 30001]], undefined, undefined],
  ['the same port', [['https', 30001]], 30001, undefined],
  ['another port: the one that is dialled now stays for a while', [['https', 30001]], 30002, 30001],
  [
    'a run that was killed kept one',
    [
      ['https', 30002],
      ['earlier', 30001],
    ],
    30002,
    30001,
  ],
  [
    'back to the one that was kept',
    [
      ['https', 30002],
      ['earlier', 30001],
    ],
    30001,
    30002,
  ],
  ['no Service yet', [], 30002, undefined],
])('%s', (_, ports, wish, earlier) => {
  expect(earlierNodePortOf(service(ports), spec(wish))).toBe(earlier);
});

test('an earlier node port leads to the API server under a name of its own', () => {
  const { ports } = buildApiserverService('plane-0123456789', spec(30002), {
    starting: false,
    earlierNodePort: 30001,
  }).spec;
  expect(ports).toMatchObject([{ nodePort: 30002 }, { nodePort: 30001, targetPort: 'https' }]);
});

test('a load balancer that is to go stays, with its class, while it is dialled', () => {
  const balanced = { ...service([]), spec: { type: 'LoadBalancer', loadBalancerClass: 'example.com/internal' } };
  const keptBalancer = keptBalancerOf(balanced, spec());
  const kept = buildApiserverService('plane-0123456789', spec(), { starting: false, keptBalancer });
  expect(kept.spec).toMatchObject(balanced.spec);
  expect(buildApiserverService('plane-0123456789', spec(), { starting: false }).spec.type).toBe('NodePort');
  expect(keptBalancerOf(service([]), spec())).toBeUndefined();
  const stays = parseSpec({ host: 'k.example.com', expose: 'loadbalancer' }, 'a test');
  expect(keptBalancerOf(balanced, stays)).toBeUndefined();
});
