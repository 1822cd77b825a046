import { createHash } from 'node:crypto';
import { dump } from 'js-yaml';
import { imagesOf } from '../../config/images.ts';
import type { ClusterSpec } from '../../config/schema.ts';
import { type KubeObject, nameOf } from '../../kube/objects.ts';
import { render } from '../../manifests/render.ts';
import { trusted } from '../../pki/authority.ts';
import type { PkiBundle } from '../../pki/certificates.ts';
import { type Addresses, dnsAddresses, hostAndPort } from '../../plane/addresses.ts';
import { partOf } from '../../plane/names.ts';
import { driverOf, knownNetworks } from '../../plane/networks/table.ts';
import script from '../../programs/approver/main.ts?program';
import agent from '../../programs/tunnel/agent/main.ts?program';
import { pullSecretCopy } from '../pull-secret.ts';
import accessTemplate from './access.yaml';
import gateTemplate from './gate.yaml';
import konnectivityTemplate from './konnectivity.yaml';
import kubeDnsTemplate from './kube-dns.yaml';
import kubeProxyTemplate from './kube-proxy.yaml';
import kubeProxyConfigTemplate from './kube-proxy-config.yaml';
import { clusterInfo, kubeadmObjects } from './kubeadm.ts';
import kubeletServingApproverTemplate from './kubelet-serving-approver.yaml';
import tunnelAgentTemplate from './tunnel-agent.yaml';

/** Part of src/hosted/addons/access.yaml: every finished deploy leaves it in the hosted cluster. */
export const kubeletClientsBinding = 'k8sk8s:kubelet-clients';

/**
 * The objects that k8sk8s applies in the hosted cluster: RBAC, kube-proxy, the network driver, kube-dns and the approver of
 * kubelet serving certificates. Pure.
 *
 * @param authorities the plane's CAs; the trusted certificates of two of them go into the objects
 */
export function buildAddons(
  spec: ClusterSpec,
  addresses: Addresses,
  authorities: PkiBundle['authorities'],
): KubeObject[] {
  const images = imagesOf(spec);
  const { host: apiHost, port } = hostAndPort(addresses.workerServer);
  const api = { apiHost, apiPort: String(port) };
  const ca = trusted(authorities.ca!);
  const access = render(
    accessTemplate,
    {
      kubeletServingCa: trusted(authorities['kubelet-serving-ca']!),
    },
    'addons/access.yaml',
  );
  const rights = [
    ...access,
    ...kubeadmObjects(spec, addresses, ca),
    ...egressAssets(spec, addresses, ca),
    ...tunnelAssets(spec),
  ];
  const pulled = (objects: KubeObject[]) => labelled(spec.imagePullSecret ? withPullSecret(objects) : objects);
  if (!spec.childAssets) return pulled([...rights, ...approver(images.node, api, ca)]);

  const driver = driverOf(spec);
  const objects = [
    ...rights,
    ...approver(images.node, api, ca),
    ...(driver.replacesKubeProxy ? [] : kubeProxy(spec, inClusterKubeconfig(addresses.workerServer, ca))),
    ...driver.objects(spec, { ...api, ca }),
    ...kubeDns(spec, images.coredns, ca),
  ];
  return pulled(objects);
}

function kubeDns(spec: ClusterSpec, image: string, ca: string): KubeObject[] {
  const [serviceIp, ...second] = dnsAddresses(spec);
  return render(
    kubeDnsTemplate,
    {
      dnsDomain: spec.dnsDomain,
      serviceIp,
      // Named where there are two, since a Service has one family unless it asks for both.
      clusterIPs: second.length > 0 ? [serviceIp, ...second] : undefined,
      ipFamilyPolicy: second.length > 0 ? 'RequireDualStack' : undefined,
      configHash: hash(ca),
      image,
    },
    'addons/kube-dns.yaml',
  );
}

function kubeProxy(spec: ClusterSpec, kubeconfig: string): KubeObject[] {
  const [proxyConfig] = render(
    kubeProxyConfigTemplate,
    {
      podCidr: spec.podCidr,
      featureGates: Object.fromEntries(
        Object.entries(spec.featureGates).map(([gate, value]) => [gate, value === 'true']),
      ),
    },
    'addons/kube-proxy-config.yaml',
  );
  const config = dump(proxyConfig);
  const { kubeProxy: image } = imagesOf(spec);
  return render(
    kubeProxyTemplate,
    { kubeconfig, config, configHash: hash(kubeconfig + config), image },
    'addons/kube-proxy.yaml',
  );
}

/** The objects of an earlier --egress, --network, --image-pull-secret, --tunnel-host and --kubeadm-token-discovery in the hosted cluster that `spec` does not need. Pure. */
export function outdatedAddons(before: Partial<EarlierAddons>, spec: ClusterSpec): KubeObject[] {
  const assets = (egress: ClusterSpec['egress']) =>
    egressAssets({ ...spec, egress }, { konnectivity: { host: '', port: 0 } }, '');
  const wanted = new Set([...assets(spec.egress), ...networkAssets(spec), ...tunnelAssets(spec)].map(placeOf));
  const noSecret = before.imagePullSecret !== undefined && spec.imagePullSecret === undefined;
  const old = [
    ...assets(before.egress ?? spec.egress),
    // By their names alone, whatever the record says: a deploy that was ended before it wrote the record may have left them.
    ...tunnelAssets({ ...spec, tunnelHost: spec.tunnelHost ?? '' }),
    ...(spec.childAssets ? networkAssets({ ...spec, ...earlierNetwork(before, spec) }) : []),
  ];
  return [
    ...old.filter((object) => !wanted.has(placeOf(object))),
    ...(noSecret ? [pullSecretCopy] : []),
    ...(before.kubeadmTokenDiscovery && !spec.kubeadmTokenDiscovery ? clusterInfo({ workerServer: '' }, '') : []),
  ];
}

type EarlierAddons = Pick<
  ClusterSpec,
  'egress' | 'imagePullSecret' | 'kubeadmTokenDiscovery' | 'network' | 'networkManifest' | 'childAssets'
>;

function earlierNetwork({ network, networkManifest, childAssets }: Partial<EarlierAddons>, spec: ClusterSpec) {
  return { network: network ?? spec.network, networkManifest, childAssets: childAssets ?? spec.childAssets };
}

/**
 * The objects of all drivers, and kube-proxy, by their names alone, without those that `spec` needs. Pure.
 *
 * @param before of which the manifests of somebody else's driver are
 */
export function earlierDriverObjects(
  { networkManifest }: Pick<Partial<ClusterSpec>, 'networkManifest'>,
  spec: ClusterSpec,
): KubeObject[] {
  const wanted = new Set(networkAssets(spec).map(placeOf));
  const old = knownNetworks().flatMap((network) =>
    networkAssets({ ...spec, network, networkManifest, childAssets: true }),
  );
  return [...new Map(old.map((object) => [placeOf(object), object])).values()].filter(
    (object) => !wanted.has(placeOf(object)),
  );
}

/** The objects of the driver, by their names alone. Pure. */
export function driverObjects(spec: ClusterSpec): KubeObject[] {
  return driverOf(spec).objects(spec, { apiHost: '', apiPort: '', ca: '' });
}

/** What makes the network of pods, and kube-proxy, by their names alone. */
function networkAssets(spec: ClusterSpec): KubeObject[] {
  return [...driverObjects(spec), ...(driverOf(spec).replacesKubeProxy ? [] : kubeProxy(spec, ''))];
}

const placeOf = (object: KubeObject) => `${nameOf(object)} ${object.metadata.namespace ?? ''}`;

/** The objects of the hosted cluster that the gate, or konnectivity in its place, needs. */
function egressAssets(spec: ClusterSpec, { konnectivity }: Pick<Addresses, 'konnectivity'>, ca: string): KubeObject[] {
  switch (spec.egress) {
    case 'kubelet':
    case 'none':
      return render(gateTemplate, {}, 'addons/gate.yaml');
    case 'konnectivity':
      return render(
        konnectivityTemplate,
        {
          image: imagesOf(spec).konnectivityAgent,
          serverHost: konnectivity!.host,
          serverPort: String(konnectivity!.port),
          configHash: hash(ca),
        },
        'addons/konnectivity.yaml',
      );
  }
}

/** The agents of the tunnels, with --tunnel-host. They read the cluster's CA for each attempt. */
function tunnelAssets(spec: ClusterSpec): KubeObject[] {
  if (spec.tunnelHost === undefined) return [];
  return render(
    tunnelAgentTemplate,
    {
      script: agent,
      configHash: hash(agent),
      image: imagesOf(spec).node,
      host: spec.tunnelHost,
      port: String(spec.port ?? 443),
    },
    'addons/tunnel-agent.yaml',
  );
}

/** Pods read the cluster's CA only at their start, so every hash includes it. */
function approver(image: string, api: { apiHost: string; apiPort: string }, ca: string): KubeObject[] {
  return render(
    kubeletServingApproverTemplate,
    {
      script,
      configHash: hash(script + ca),
      image,
      ...api,
    },
    'addons/kubelet-serving-approver.yaml',
  );
}

/** kube-proxy's kubeconfig: its own ServiceAccount, and an address that does not depend on kube-proxy. */
function inClusterKubeconfig(server: string, certificateAuthority: string): string {
  return dump({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'hosted',
        cluster: { server, 'certificate-authority-data': Buffer.from(certificateAuthority).toString('base64') },
      },
    ],
    users: [{ name: 'kube-proxy', user: { tokenFile: '/var/run/secrets/kubernetes.io/serviceaccount/token' } }],
    contexts: [{ name: 'hosted', context: { cluster: 'hosted', user: 'kube-proxy' } }],
    'current-context': 'hosted',
  });
}

function labelled(objects: KubeObject[]): KubeObject[] {
  for (const { metadata } of objects)
    metadata.labels = {
      ...metadata.labels,
      'app.kubernetes.io/part-of': partOf,
      'app.kubernetes.io/managed-by': partOf,
    };
  return objects;
}

function withPullSecret(objects: KubeObject[]): KubeObject[] {
  for (const object of objects) {
    const template = (object as { spec?: { template?: { spec?: { imagePullSecrets?: { name: string }[] } } } }).spec
      ?.template?.spec;
    if (template) template.imagePullSecrets = [{ name: pullSecretCopy.metadata.name }];
  }
  return objects;
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
