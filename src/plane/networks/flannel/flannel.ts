import { createHash } from 'node:crypto';
import { networksIn } from '../../../base/cidr.ts';
import { mirrored } from '../../../config/images.ts';
import type { ClusterSpec } from '../../../config/schema.ts';
import { render } from '../../../manifests/render.ts';
import type { NetworkDriver } from '../driver.ts';
import { policyRows } from '../test-rows.ts';
import template from './flannel.yaml';
import { flannelImages } from './images.ts';
import worker from './worker.sh';

/** https://github.com/flannel-io/flannel/blob/master/Documentation/backends.md */
export const flannel: NetworkDriver = {
  objects(spec, { apiHost, apiPort, ca }) {
    const [image, pluginImage] = imagesOf(spec);
    const [backend, delegate] = [backendOf(spec), delegateOf(spec)];
    const networkInterface = spec.flannelInterface ?? nodeAddress;
    const all = [delegate, networkInterface, backend].join();
    return render(
      template,
      {
        networks: networksOf(spec),
        backend,
        delegate,
        interface: networkInterface,
        // Pods that run with the usual are not replaced because there are options now.
        configHash: hash(spec.podCidr + ca + (all === usual ? '' : all)),
        image,
        pluginImage,
        apiHost,
        apiPort,
      },
      'flannel',
    );
  },
  images: imagesOf,
  apps: ['flannel'],
  replacesKubeProxy: false,
  worker,
  left: {
    links: ['flannel.1', 'flannel-v6.1'],
    files: ['/etc/cni/net.d/10-flannel.conflist', '/run/flannel'],
    rules: ['FLANNEL', 'flanneld'],
  },
  reach: (spec) => (spec.flannelBackend === 'vxlan' ? [`${vxlanPort(spec)}/udp (flannel vxlan)`] : []),
  notSupported: policyRows,
};

/** Of the agent, and of the CNI plugin. */
function imagesOf(spec: ClusterSpec): [string, string] {
  return [
    spec.flannelImage ?? mirrored(spec, flannelImages.agent),
    spec.flannelCniImage ?? mirrored(spec, flannelImages.plugin),
  ];
}

/** The port of flannel's vxlan on machines. */
const usualVxlanPort = 8472;

/**
 * Among worker pods vxlan runs inside of the infra cluster's network, which may itself be vxlan and then drops what its pods send to
 * its own port: Cilium has 8472, Calico 4789.
 */
const innerVxlanPort = 14789;

export function vxlanPort({ flannelPort, workerPods }: Pick<ClusterSpec, 'flannelPort' | 'workerPods'>): number {
  return flannelPort ?? (workerPods > 0 ? innerVxlanPort : usualVxlanPort);
}

function networksOf({ podCidr }: ClusterSpec): string {
  const [first, second] = networksIn(podCidr);
  const ipv6 = second === undefined ? '' : `, "EnableIPv6": true, "IPv6Network": "${second.text}"`;
  return `"Network": "${first.text}"${ipv6}`;
}

/** The port is said where it is not flannel's own, because every flannel pod is replaced for another configuration. */
function backendOf(spec: ClusterSpec): string {
  if (spec.flannelBackend === 'host-gw') return '{ "Type": "host-gw" }';
  const port = vxlanPort(spec) === usualVxlanPort ? '' : `, "Port": ${vxlanPort(spec)}`;
  const mtu = spec.flannelMtu === undefined ? '' : `, "MTU": ${spec.flannelMtu}`;
  return `{ "Type": "vxlan"${port}${mtu} }`;
}

/** The backend host-gw has no MTU of its own; what is said here comes before what flannel's CNI plugin finds out. */
function delegateOf({ flannelBackend, flannelMtu }: ClusterSpec): string {
  const mtu = flannelBackend === 'host-gw' && flannelMtu !== undefined ? `, "mtu": ${flannelMtu}` : '';
  return `{ "hairpinMode": true, "isDefaultGateway": true${mtu} }`;
}

const nodeAddress = '$(NODE_IP)';
const usual = ['{ "hairpinMode": true, "isDefaultGateway": true }', nodeAddress, '{ "Type": "vxlan" }'].join();

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
