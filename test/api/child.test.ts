import { expect, test } from 'vitest';
import { applyAddons } from '../../src/hosted/apply.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { nothingApplied } from '../../src/live/apply.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { connectAsHosted, newNamespace } from './world.ts';

// A Service of fixed address, as kube-dns is, in the hosted cluster.

const apply = (cluster: HostedCluster, object: KubeObject) =>
  applyAddons(cluster, [object], nothingApplied(), {
    reporter: quietReporter,
    signal: new AbortController().signal,
  });

function service(namespace: string, name: string, clusterIP: string) {
  const spec = { clusterIP, ports: [{ name: 'dns', port: 53 }] };
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace }, spec };
}

test('an address that a killed create left set aside is given back, one of somebody else is not', async () => {
  const { name: namespace } = await newNamespace();
  const hosted = await connectAsHosted();
  const kubeDns = service(namespace, 'kube-dns', '10.96.0.77');
  // What is left of such a create: the address, without the Service that it names.
  await hosted.create({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IPAddress',
    metadata: {
      name: '10.96.0.77',
      labels: {
        'ipaddress.kubernetes.io/ip-family': 'IPv4',
        'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io',
      },
    },
    spec: { parentRef: { resource: 'services', namespace, name: 'kube-dns' } },
  } as KubeObject);
  await apply(hosted, kubeDns);
  expect(await hosted.get(kubeDns, 'kube-dns', namespace)).toMatchObject({ spec: { clusterIP: '10.96.0.77' } });

  await expect(apply(hosted, service(namespace, 'other', '10.96.0.77'))).rejects.toMatchObject({
    why: `service "kube-dns" of namespace "${namespace}" has the address that it needs, 10.96.0.77`,
  });
});
