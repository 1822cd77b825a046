import { expect, test } from 'vitest';
import { parseSpec } from '../../src/config/parse.ts';
import { buildAddons, outdatedAddons } from '../../src/hosted/addons/addons.ts';
import { applyAddons } from '../../src/hosted/apply.ts';
import { hostedPullSecret, pullSecretCopy } from '../../src/hosted/pull-secret.ts';
import type { HostedCluster } from '../../src/kube/hosted-cluster.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { nothingApplied } from '../../src/live/apply.ts';
import { driverOf } from '../../src/plane/networks/table.ts';
import { quietReporter } from '../../src/ui/quiet.ts';
import { fixedPlane } from '../golden/plane.ts';
import { until } from '../until.ts';
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

// As manifests of drivers are made: a List, objects without a namespace, definitions and objects of theirs, in any order.
const driver = `
apiVersion: v1
kind: List
items:
  - {apiVersion: net.example.com/v1, kind: Pool, metadata: {name: default-pool}, spec: {cidr: 10.2.0.0/16}}
  - apiVersion: apiextensions.k8s.io/v1
    kind: CustomResourceDefinition
    metadata: {name: pools.net.example.com}
    spec:
      group: net.example.com
      scope: Cluster
      names: {kind: Pool, plural: pools}
      versions:
        - name: v1
          served: true
          storage: true
          schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {cidr: {type: string}}}}}}
  - {apiVersion: v1, kind: Namespace, metadata: {name: net-system}}
  - {apiVersion: v1, kind: ServiceAccount, metadata: {name: net}}
  - {apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: net, namespace: net-system}, rules: []}
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRoleBinding
    metadata: {name: net}
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
    subjects: [{kind: ServiceAccount, name: net, namespace: default}]
---
{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: net-critical}, value: 1000}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: net, namespace: net-system}
spec:
  selector: {matchLabels: {name: net}}
  template:
    metadata: {labels: {name: net}}
    spec: {hostNetwork: true, containers: [{name: net, image: "net.example.com/net:1"}]}
`;

test('the manifests of any network driver are applied as they are, and go when another one comes', async () => {
  const hosted = await connectAsHosted();
  const before = parseSpec({ host: 'k.example.com', network: 'manifest', networkManifest: driver }, 'the test');
  const { addresses, bundle } = await fixedPlane(before);
  const objects = driverOf(before).objects(before, { apiHost: '', apiPort: '', ca: '' });
  const all = buildAddons(before, addresses, bundle.authorities);
  for (const { kind, metadata } of objects)
    expect(all.some((each) => each.kind === kind && each.metadata.name === metadata.name)).toBe(true);
  const work = { reporter: quietReporter, signal: new AbortController().signal };
  await applyAddons(hosted, objects, nothingApplied(), work);
  const there = () => Promise.all(objects.map((each) => hosted.get(each, each.metadata.name, each.metadata.namespace)));
  expect((await there()).map((each) => each?.metadata.name)).toEqual(objects.map(({ metadata }) => metadata.name));
  expect(await hosted.get({ apiVersion: 'v1', kind: 'ServiceAccount' }, 'net', 'default')).toBeDefined();

  const outdated = outdatedAddons(before, parseSpec({ host: 'k.example.com' }, 'the test'));
  for (const object of outdated) await hosted.delete(object, object.metadata.name, object.metadata.namespace);
  // A namespace without a controller-manager stays.
  const left = async () => (await there()).filter((each) => each !== undefined && each.kind !== 'Namespace');
  await until(async () => (await left()).length === 0);
});
