import { expect, test } from 'vitest';
import { InfraCluster } from '../kube/infra-cluster.ts';
import { InfraStore } from './infra-store.fixture.ts';
import { openPlane } from './open.ts';
import { putPlane } from './plane.fixture.ts';

test('the hosted API server is dialled by the address of its people, or by that of its service', async () => {
  const store = new InfraStore();
  await putPlane(store, {}, { host: 'k.example.com', port: 8443 });
  const dialled = async (hostedBy?: 'service') => {
    const plane = await openPlane(new InfraCluster(store.cluster.transport, 'team', { hostedBy }));
    const hosted = await plane.connect();
    await hosted.close();
    return [hosted.server, plane.addresses.apiserverServiceIp];
  };
  expect((await dialled())[0]).toBe('https://k.example.com:8443');
  const [server, service] = await dialled('service');
  expect(server).toBe(`https://${service}`);
});
