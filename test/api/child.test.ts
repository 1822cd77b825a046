import { expect, test } from 'vitest';
import { parseSpec } from '../../src/config/parse.ts';
import { buildAddons, outdatedAddons } from '../../src/hosted/addons/addons.ts';
import { applyAddons } from '../../src/hosted/apply.ts';
import { hostedPullSecret, pullSecretCopy } from '../../src/hosted/pull-secret.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { nothingApplied } from '../../src/live/apply.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { fixedPlane } from '../golden/plane.ts';
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

test('the Secret for images is in the hosted cluster, as it is in the namespace, and every pod there names it', async () => {
  const { cluster } = await newNamespace();
  const hosted = await connectAsHosted();
  const data = { '.dockerconfigjson': Buffer.from('{"auths":{}}').toString('base64') };
  const type = 'kubernetes.io/dockerconfigjson';
  const kind = { apiVersion: 'v1', kind: 'Secret' };
  await cluster.create({ ...kind, metadata: { name: 'mirror' }, type, data } as KubeObject);
  for (const input of [{}, { childAssets: false }, { egress: 'konnectivity' as const }]) {
    const spec = parseSpec({ host: 'k.example.com', imagePullSecret: 'mirror', ...input }, 'the test');
    for (const object of await hostedPullSecret(cluster, spec)) await apply(hosted, object);
    const { name, namespace } = pullSecretCopy.metadata;
    expect(await hosted.get(kind, name, namespace)).toMatchObject({ type, data });
    const { addresses, bundle } = await fixedPlane(spec);
    const templates = buildAddons(spec, addresses, bundle.authorities).flatMap(
      (object) => (object as { spec?: { template?: { spec: object } } }).spec?.template?.spec ?? [],
    );
    expect(templates.length).toBeGreaterThan(0);
    for (const template of templates) expect(template).toMatchObject({ imagePullSecrets: [{ name }] });
    expect(outdatedAddons(spec, { ...spec, imagePullSecret: undefined })).toContainEqual(pullSecretCopy);
  }
  await cluster.delete(kind, 'mirror');
  const spec = parseSpec({ host: 'k.example.com', imagePullSecret: 'mirror' }, 'the test');
  await expect(hostedPullSecret(cluster, spec)).rejects.toMatchObject({ anchor: 'image-pull-secret' });
});
