import { expect, onTestFinished, test, vi } from 'vitest';
import { InfraCluster } from '../../kube/infra-cluster.ts';
import type { Secret } from '../../kube/objects.ts';
import { Transport } from '../../kube/transport.ts';
import { InfraStore } from '../../live/infra-store.fixture.ts';
import { putPlane } from '../../live/plane.fixture.ts';
import { quietReporter } from '../../ui/quiet.ts';
import { refuseTwoPlanes } from './two-planes.ts';

const work = { reporter: quietReporter, signal: new AbortController().signal };

test('addresses that are silent are a question, but not where this run has destroyed the plane itself', async () => {
  const store = new InfraStore();
  await putPlane(store);
  const secrets = [...store.objects.values()].filter(({ kind }) => kind === 'Secret') as Secret[];
  // A proxy that reaches nobody.
  const nobody = 'http://127.0.0.1:1';
  const cluster = new InfraCluster(new Transport({ server: nobody, proxies: { https: nobody } }), 'team');
  const publicServer = 'https://a.test:443';
  const head = {
    format: 1 as const,
    created: '',
    toolVersion: '',
    namespace: 'team',
    record: {
      planeId: 'plane-1',
      toolVersion: '1',
      spec: { host: 'a.test' },
      issuers: [],
      phase: 'available' as const,
    },
    addresses: { publicServer, workerServer: publicServer, nodePort: 1, infraNodes: [] },
    etcd: { version: '', revision: 1 },
  };
  const refuse = (destroyed: boolean) =>
    refuseTwoPlanes(cluster, { head, secrets }, { ...work, oldPlaneIsDown: false }, destroyed);
  let now = 0;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => (now += 20_000));
  onTestFinished(() => clock.mockRestore());
  await refuse(true);
  await expect(refuse(false)).rejects.toMatchObject({ anchor: 'old-plane-alive' });
});
