import { expect, test } from 'vitest';
import { parseSpec } from '../../src/config/parse.ts';
import type { Service } from '../../src/kube/objects.ts';
import { apiserverService } from '../../src/plane/addresses.ts';
import { earlierNodePortOf } from '../../src/plane/components/kube-apiserver/service.ts';
import { buildServices } from '../../src/plane/services.ts';
import { settleService } from '../../src/rollout/service.ts';
import { newNamespace, nodePorts } from './world.ts';

// An API server judges a Service whose node port moves: the earlier one is free for the second port in the same request.

const planeId = 'plane-0123456789';
const { first, second } = nodePorts;

test('a node port that changes is kept under another name, also by the run after one that was killed, until it is dropped', async () => {
  const { cluster } = await newNamespace();
  const specOf = (nodePort: number) => parseSpec({ host: 'k.example.com', nodePort }, 'a test');
  const now = () => cluster.get<Service>({ apiVersion: 'v1', kind: 'Service' }, apiserverService);
  const apply = async (nodePort: number) => {
    const earlierNodePort = earlierNodePortOf(await now(), specOf(nodePort));
    const services = buildServices(planeId, specOf(nodePort), { earlierNodePort });
    await cluster.apply(services.find(({ metadata }) => metadata.name === apiserverService)!);
    return (await now())!.spec.ports!.map((port) => port.nodePort);
  };
  expect(await apply(first)).toEqual([first]);
  expect(await apply(second)).toEqual([second, first]);
  expect(await apply(second)).toEqual([second, first]);
  await settleService(cluster, planeId, specOf(second));
  expect((await now())!.spec.ports).toHaveLength(1);
  expect(await apply(first)).toEqual([first, second]);
  // Back before it was dropped: the two change places.
  expect(await apply(second)).toEqual([second, first]);
});
